use std::io::{IoSliceMut, Read as _};
use std::os::fd::RawFd;
use std::os::unix::net::UnixListener;

use std::os::fd::AsRawFd as _;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};

use super::*;

#[test]
fn options_and_config_must_agree() {
    check(false, false, false).unwrap();
    check(true, false, false).unwrap();
    check(true, true, true).unwrap();
    for (terminal, detach, socket) in [(true, true, false), (false, true, true), (true, false, true)] {
        assert!(matches!(check(terminal, detach, socket), Err(Error::Usage { .. })));
    }
}

#[test]
fn the_master_arrives_at_the_console_socket_even_below_a_long_path() {
    let temporary = tempfile::tempdir().unwrap();
    let long = temporary.path().join("x".repeat(100));
    std::fs::create_dir(&long).unwrap();
    for path in [temporary.path().join("s"), long.join("socket")] {
        let (bind, _parent) = socket::address(&path).unwrap();
        let listener = UnixListener::bind(Path::new(bind.path().unwrap())).unwrap();
        let (mut out, input) = std::io::pipe().unwrap();
        send_to_console_socket(&path, &input).unwrap();
        drop(input);
        let (peer, _) = listener.accept().unwrap();
        let mut text = [0; 64];
        let mut parts = [IoSliceMut::new(&mut text)];
        let mut room = nix::cmsg_space!([RawFd; 1]);
        let message =
            recvmsg::<UnixAddr>(peer.as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::empty()).unwrap();
        assert_eq!(message.bytes, "/dev/ptmx".len());
        let Some(ControlMessageOwned::ScmRights(fds)) = message.cmsgs().unwrap().next() else { panic!() };
        std::fs::write(format!("/proc/self/fd/{}", fds[0]), "through").unwrap();
        nix::unistd::close(fds[0]).unwrap();
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }
}

#[test]
fn a_socket_that_nobody_listens_on_is_named() {
    let error = connect_console_socket(Path::new("/no/such/socket")).unwrap_err().to_string();
    assert_eq!(error, "connect to the console socket /no/such/socket: no such file or directory (ENOENT)");
}
