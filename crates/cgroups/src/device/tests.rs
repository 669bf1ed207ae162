use orlop_spec::{DeviceRule, DeviceRuleKind};

use super::DeviceProgram;
use super::interpret::run;

/// A rule such as `allow c 1:3 rwm`, with `*` or nothing for any.
fn rule(text: &str) -> DeviceRule {
    let words: Vec<&str> = text.split(' ').collect();
    let (major, minor) = words[2].split_once(':').unwrap();
    let number = |n: &str| (n != "*").then(|| n.parse().unwrap());
    DeviceRule {
        allow: words[0] == "allow",
        kind: DeviceRuleKind::from(words[1]),
        major: number(major),
        minor: number(minor),
        access: words[3].into(),
    }
}

fn compile(rules: &[&str]) -> DeviceProgram {
    DeviceProgram::compile(&rules.iter().map(|r| rule(r)).collect::<Vec<_>>()).unwrap()
}

fn refused(rules: &[&str]) -> (usize, String) {
    let rules: Vec<_> = rules.iter().map(|r| rule(r)).collect();
    let refused = DeviceProgram::compile(&rules).unwrap_err();
    (refused.index, refused.what)
}

/// Asks a program about an access such as `c 1:3 rw`.
fn allows(program: &DeviceProgram, access: &str) -> bool {
    let asked = rule(&format!("allow {access}"));
    let kind = if asked.kind == DeviceRuleKind::Block { 1 } else { 2 };
    let bits = asked.access.chars().map(|c| match c {
        'm' => 1,
        'r' => 2,
        _ => 4,
    });
    let (major, minor) = (asked.major.unwrap() as u32, asked.minor.unwrap() as u32);
    run(program.instructions(), kind, bits.sum(), major, minor)
}

const DOCKER: &[&str] = &[
    "deny a *:* rwm",
    "allow c *:* m",
    "allow b *:* m",
    "allow c 1:5 rwm",
    "allow c 1:3 rwm",
    "allow c 136:* rwm",
    "allow c 5:2 rwm",
    "allow c 10:200 rwm",
];

#[test]
fn the_usual_list_of_an_engine() {
    let program = compile(DOCKER);
    for (access, want) in [
        ("c 1:3 rw", true),
        ("c 1:3 m", true),
        ("c 1:3 rwm", true),
        ("b 1:3 r", false),
        ("c 136:77 rw", true),
        ("b 8:0 m", true),
        ("b 8:0 r", false),
        ("c 1:1 rw", false),
        ("c 1:1 m", true),
        ("c 1:1 rm", false),
    ] {
        assert_eq!(allows(&program, access), want, "{access}");
    }
}

#[test]
fn devices_share_the_tests_of_their_kind_and_access() {
    // Nine to load, two for mknod of whatever there is, one of the kind, five devices, two verdicts of two each.
    assert_eq!(compile(DOCKER).instructions().len(), 9 + 2 + 1 + 5 + 4);
}

#[test]
fn a_device_of_both_kinds_and_all_devices_of_one() {
    let program =
        compile(&["allow c 7:1 rwm", "allow b 7:1 rwm", "allow b 9:* r", "allow b *:* r", "allow c *:3 w"]);
    for (access, want) in [
        ("c 7:1 rwm", true),
        ("b 7:1 w", true),
        ("b 200:4000 r", true),
        ("b 9:1 r", true),
        ("b 9:1 rw", false),
        ("c 9:1 r", false),
        ("c 9:3 w", true),
        ("b 9:3 w", false),
    ] {
        assert_eq!(allows(&program, access), want, "{access}");
    }
    let program = compile(&["allow c *:* rwm", "allow b *:* rwm", "allow c 1:3 r"]);
    assert!(allows(&program, "b 8:0 rwm") && program.instructions().len() == 2);
}

#[test]
fn numbers_that_no_device_has_match_none() {
    // Put together as the kernel does it, 1:1048579 would be 2:3, and 4097:0 would be 1:0.
    let program = compile(&["allow c 1:1048579 rwm", "allow c 4097:0 rwm", "allow c 1048577:* rwm"]);
    for access in ["c 2:3 r", "c 1:0 r", "c 1:3 r"] {
        assert!(!allows(&program, access), "{access}");
    }
}

#[test]
fn an_empty_list_denies_everything() {
    let program = compile(&[]);
    assert!(!allows(&program, "c 1:3 r") && !program.allows_all());
}

#[test]
fn a_privileged_list_allows_everything() {
    let program = compile(&["allow a *:* rwm"]);
    assert!(program.allows_all() && allows(&program, "b 8:0 rwm"));
    assert!(allows(&DeviceProgram::unrestricted(), "b 8:0 rwm"));
}

#[test]
fn a_rule_about_all_devices_forgets_what_was_before() {
    let program = compile(&["allow c 1:3 rwm", "deny a *:* rwm"]);
    assert!(!allows(&program, "c 1:3 r"));
    let program = compile(&["deny c 1:3 rwm", "allow a *:* rwm"]);
    assert!(program.allows_all());
}

#[test]
fn a_narrow_rule_of_type_a_does_not_allow_everything() {
    let program = compile(&["allow a 10:200 rw"]);
    assert!(allows(&program, "c 10:200 rw") && allows(&program, "b 10:200 r"));
    assert!(!allows(&program, "c 10:200 m") && !allows(&program, "c 1:1 r"));
}

#[test]
fn bits_of_one_device_add_up_and_are_taken_away_again() {
    let program = compile(&["allow c 1:3 r", "allow c 1:3 w"]);
    assert!(allows(&program, "c 1:3 rw") && !allows(&program, "c 1:3 rwm"));
    let program = compile(&["allow c 1:3 rwm", "deny c 1:3 w"]);
    assert!(allows(&program, "c 1:3 r") && !allows(&program, "c 1:3 rw"));
}

#[test]
fn with_default_allow_one_denied_bit_denies_the_access() {
    // Opening for reading and writing must not slip past a rule that denies writing.
    let program = compile(&["allow a *:* rwm", "deny c 1:3 w"]);
    for (access, want) in
        [("c 1:3 w", false), ("c 1:3 rw", false), ("c 1:3 r", true), ("c 1:5 rw", true), ("b 1:3 w", true)]
    {
        assert_eq!(allows(&program, access), want, "{access}");
    }
    let program = compile(&["allow a *:* rwm", "deny b *:* rwm", "allow c 4:4 rwm"]);
    assert!(!allows(&program, "b 8:0 r") && allows(&program, "c 4:4 r"));
}

#[test]
fn a_hole_in_a_wider_rule_is_refused() {
    let (index, what) = refused(&["deny a *:* rwm", "allow c 1:* rwm", "deny c 1:3 w"]);
    assert_eq!((index, what.as_str()), (2, "rule c 1:3 w would punch a hole into the wider rule c 1:* rwm"));
    compile(&["allow c 1:* r", "deny c 1:3 w"]);
    compile(&["allow c 1:* r", "deny c 1:* r", "deny b 1:3 r"]);
}

#[test]
fn the_letter_a_adds_no_access() {
    let program = compile(&["allow c 1:3 rwa"]);
    for (access, want) in [("c 1:3 rw", true), ("c 1:3 m", false)] {
        assert_eq!(allows(&program, access), want, "{access}");
    }
    assert_eq!(
        refused(&["allow c 1:3 a"]).1,
        "device access \"a\" must be one or more of the letters r, w, m"
    );
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(
        refused(&["allow c 1:3 rwx"]).1,
        "device access \"rwx\" must be one or more of the letters r, w, m"
    );
    assert_eq!(refused(&["allow c 1:3 "]).1, "device access \"\" must be one or more of the letters r, w, m");
    assert_eq!(refused(&["allow p 1:3 r"]).1, "device type \"p\" is none of a, b, c");
    assert_eq!(refused(&["allow c -5:3 r"]).1, "major number -5 is not a device number");
}

/// What the version 1 controller would say, straight from its definition (security/device_cgroup.c).
#[test]
fn every_short_list_means_what_it_meant_in_version_1() {
    let rules = [
        "allow a *:* rwm",
        "deny a *:* rwm",
        "allow c 1:3 rw",
        "deny c 1:3 w",
        "allow b 1:* m",
        "deny b 1:* m",
    ];
    for list in (0..6_usize.pow(4)).map(|n| [n % 6, n / 6 % 6, n / 36 % 6, n / 216].map(|i| rules[i])) {
        let program = compile(&list);
        let (mut allow, mut except) = (false, Vec::<(DeviceRule, u8)>::new());
        for text in list {
            let next = rule(text);
            if next.kind == DeviceRuleKind::All {
                (allow, except) = (next.allow, Vec::new());
                continue;
            }
            let bits = letters(&next.access);
            let known = except.iter_mut().find(|(r, _)| r.kind == next.kind);
            match (known, next.allow == allow) {
                (Some((_, known)), true) => *known &= !bits,
                (Some((_, known)), false) => *known |= bits,
                (None, true) => {}
                (None, false) => except.push((next, bits)),
            }
        }
        for asked in ["c 1:3 r", "c 1:3 w", "c 1:3 rw", "c 1:3 m", "b 1:9 m", "b 1:9 rm", "b 2:9 m"] {
            let want = rule(&format!("allow {asked}"));
            let bits = letters(&want.access);
            let matches = |e: &DeviceRule| {
                e.kind == want.kind && e.major == want.major && (e.minor.is_none() || e.minor == want.minor)
            };
            let hit = except
                .iter()
                .any(|(e, known)| matches(e) && if allow { known & bits != 0 } else { bits & !known == 0 });
            assert_eq!(allows(&program, asked), allow != hit, "{asked} after {list:?}");
        }
    }
}

fn letters(access: &str) -> u8 {
    access
        .bytes()
        .map(|b| match b {
            b'm' => 1,
            b'r' => 2,
            _ => 4,
        })
        .sum()
}
