//! What is written is read back, and nothing else is read at all.

use orlop_program::message::{Failed, MAX, Message, Point};
use orlop_program::source::Source;
use orlop_program::{Builder, List, Program, Slot, Step, Str};
use proptest::prelude::*;

fn sample<'a>(paths: &'a [Str<'a>], options: &'a [(Str<'a>, Option<Str<'a>>)]) -> Vec<Step<'a>> {
    vec![
        Step::NewSession {},
        Step::BindRoot { source: Source::Path("/bundle/rootfs".into()), at: "/bundle/rootfs".into() },
        Step::Mount {
            fstype: "tmpfs".into(),
            options: options.into(),
            attributes: 6,
            target: "/dev".into(),
            real: false,
            keep: Some(Slot(9)),
            id_map: None,
            like: None,
            beside: false,
        },
        Step::Identity { uid: 1000, gid: 1000, groups: Some(&[1, 0, 0, 0]), umask: 0o22 },
        Step::Exec { args: paths.into(), env: List::from(&[][..]) },
    ]
}

#[test]
fn what_is_written_is_read_back() {
    let paths = ["/bin/sh".into(), "-c".into(), "".into()];
    let options = [("mode".into(), Some("755".into())), ("ro".into(), None)];
    let steps = sample(&paths, &options);
    let mut builder = Builder::default();
    for (index, step) in steps.iter().enumerate() {
        builder.push(*step, index, "because");
    }
    let built = builder.finish().expect("no string holds a NUL");
    let bytes = built.encode(&[(Slot::HOST, 5), (Slot::FREE, 77)]);
    let program = Program::read(&bytes).expect("it was just written");
    assert_eq!(program.slots.iter().collect::<Vec<_>>(), [(Slot::HOST, 5), (Slot::FREE, 77)]);
    let read = program.steps.collect::<Result<Vec<_>, _>>().expect("it was just written");
    assert_eq!(read, steps);
    assert_eq!(read, built.steps().collect::<Result<Vec<_>, _>>().expect("the same bytes"));
}

#[test]
fn a_string_with_a_nul_is_refused_by_its_origin() {
    let mut builder = Builder::default();
    builder.push(Step::Hostname { name: "fine".into() }, "/hostname", "");
    builder.push(Step::Domainname { name: "not\0fine".into() }, "/domainname", "");
    assert_eq!(builder.finish().expect_err("there is a NUL"), ["/domainname"]);
}

#[test]
fn messages_are_read_back_and_cut_to_their_limit() {
    let text = [b'x'; 2 * MAX];
    let failed = Failed { step: 7, part: u32::MAX, call: 165, errno: 22, text: &text[..10] };
    let long = Failed { text: &text, ..failed };
    let mut buffer = [0; MAX];
    for message in
        [Message::Reached(Point::Ready), Message::Console, Message::Executing, Message::Failed(failed)]
    {
        let n = message.write(&mut buffer);
        assert_eq!(Message::read(&buffer[..n]), Ok(message));
    }
    assert_eq!(Message::Failed(long).write(&mut buffer), MAX);
    assert!(Message::read(&[]).is_err() && Message::read(&[9]).is_err() && Message::read(&[1, 9]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_loop(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(program) = Program::read(&bytes) {
            prop_assert!(program.steps.count() <= bytes.len() + 1);
        }
    }

    #[test]
    fn a_damaged_program_is_read_without_panic(at in 0_usize..200, with in any::<u8>(), cut in 0_usize..200) {
        let paths = ["/bin/sh".into()];
        let mut builder = Builder::default();
        for step in sample(&paths, &[]) {
            builder.push(step, (), "");
        }
        let mut bytes = builder.finish().expect("no NUL").encode(&[(Slot::HOST, 3)]);
        let len = bytes.len();
        bytes[at % len] = with;
        for bytes in [&bytes[..], &bytes[..len - cut.min(len)]] {
            if let Ok(program) = Program::read(bytes) {
                for step in program.steps {
                    // Reading lists goes through every item.
                    let _text = format!("{step:?}");
                }
            }
        }
    }
}
