use super::*;

/// A tree of plain files: what the kernel's looks like from outside.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::write(tree.path("schemata"), "    MB:0=100;1=100\n    L3:0=7ff;1=7ff\n").unwrap();
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plan(&self, group: Option<&str>, compared: &[&str], schemata: &[&str]) -> RdtPlan {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        RdtPlan {
            tree: self.0.path().to_owned(),
            group: group.map(str::to_owned),
            container: "c1".to_owned(),
            compared: owned(compared),
            schemata: owned(schemata),
            monitoring: false,
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

fn made(plan: &RdtPlan) -> Result<RdtGroup> {
    let group = RdtGroup::locate(plan);
    group.create(plan).map(|()| group)
}

#[test]
fn without_a_class_the_container_has_its_own_which_ends_with_it() {
    let tree = Tree::new();
    let group = made(&tree.plan(None, &["L3:0=f", "MB:0=20"], &["L2:0=f;1=f"])).unwrap();
    assert_eq!(tree.read("c1/schemata"), "L3:0=f\nMB:0=20\nL2:0=f;1=f\n", "in this order");
    group.attach(42).unwrap();
    assert_eq!(tree.read("c1/tasks"), "42");
    // The kernel removes a group with its files.
    for file in ["c1/tasks", "c1/schemata"] {
        fs::remove_file(tree.path(file)).unwrap();
    }
    group.remove().unwrap();
    assert!(!tree.path("c1").exists());
    group.remove().unwrap();
}

#[test]
fn a_class_that_is_named_stays() {
    let tree = Tree::new();
    let group = made(&tree.plan(Some("gold"), &[], &["L3:0=f"])).unwrap();
    assert_eq!(tree.read("gold/schemata"), "L3:0=f\n");
    group.remove().unwrap();
    assert!(tree.path("gold").exists());
}

#[test]
fn a_class_without_schemata_must_exist_and_is_left_as_it_is() {
    let tree = Tree::new();
    let plan = tree.plan(Some("gold"), &[], &[]);
    let error = made(&plan).unwrap_err().to_string();
    assert!(error.contains("closID") && error.contains("does not exist"), "{error}");
    assert!(!tree.path("gold").exists());
    fs::create_dir(tree.path("gold")).unwrap();
    made(&plan).unwrap();
    assert!(!tree.path("gold/schemata").exists(), "nothing is written");
}

#[test]
fn a_class_that_exists_must_be_what_it_is_said_to_be() {
    let tree = Tree::new();
    fs::create_dir(tree.path("gold")).unwrap();
    fs::write(tree.path("gold/schemata"), "    MB:0= 50;1=100\n    L3:0=00f;1=7FF\n").unwrap();
    for same in ["L3:0=f;1=7ff", "L3:1=7ff", "MB:0=50"] {
        made(&tree.plan(Some("gold"), &[same], &[])).unwrap();
        fs::write(tree.path("gold/schemata"), "    MB:0= 50;1=100\n    L3:0=00f;1=7FF\n").unwrap();
    }
    for other in ["L3:0=ff", "L3:2=f", "L2:0=f", "MB:0=60", "L3"] {
        let error = made(&tree.plan(Some("gold"), &[other], &[])).unwrap_err().to_string();
        assert!(error.contains("other schemata"), "{other}: {error}");
    }
    assert!(tree.path("gold").exists(), "it is not ours to remove");
}

#[test]
fn the_default_class_is_the_tree_itself() {
    let tree = Tree::new();
    let group = made(&tree.plan(Some("/"), &["MB:0=100"], &[])).unwrap();
    group.attach(7).unwrap();
    assert_eq!(tree.read("tasks"), "7");
    group.remove().unwrap();
    assert!(tree.path("schemata").exists());
}

#[test]
fn a_monitor_is_the_containers_own_in_any_class() {
    let tree = Tree::new();
    fs::create_dir_all(tree.path("gold/mon_groups")).unwrap();
    let plan = RdtPlan { monitoring: true, ..tree.plan(Some("gold"), &[], &[]) };
    let group = made(&plan).unwrap();
    group.attach(7).unwrap();
    assert_eq!(tree.read("gold/mon_groups/c1/tasks"), "7");
    fs::remove_file(tree.path("gold/mon_groups/c1/tasks")).unwrap();
    group.remove().unwrap();
    assert!(!tree.path("gold/mon_groups/c1").exists() && tree.path("gold").exists());
    // No room for one is an error, and what was made before it goes again.
    let error = made(&RdtPlan { monitoring: true, ..tree.plan(None, &[], &[]) }).unwrap_err().to_string();
    assert!(error.contains("mon_groups/c1 (/linux/intelRdt/enableMonitoring)"), "{error}");
    assert!(!tree.path("c1").exists());
}

#[test]
fn what_the_kernel_says_of_schemata_is_told() {
    let tree = Tree::new();
    fs::create_dir(tree.path("info")).unwrap();
    fs::write(tree.path("info/last_cmd_status"), "Non-consecutive 1-bits in the mask\n").unwrap();
    fs::create_dir_all(tree.path("gold/schemata")).unwrap();
    let error = made(&tree.plan(Some("gold"), &[], &["L3:0=5"])).unwrap_err();
    assert!(error.help().unwrap().contains("Non-consecutive 1-bits"), "{error}");
}

#[test]
fn new_shares_replace_only_themselves_and_can_be_taken_back() {
    let tree = Tree::new();
    let plan = tree.plan(Some("gold"), &["L3:0=3"], &["L2:0=1"]);
    let group = made(&tree.plan(Some("gold"), &["L3:0=f"], &[])).unwrap();
    let old = group.change(&plan).unwrap();
    assert_eq!(tree.read("gold/schemata"), "L3:0=3\n", "the kernel keeps the lines of other resources");
    group.change_back(&old, &plan).unwrap();
    assert_eq!(tree.read("gold/schemata"), "L3:0=f\n");
    fs::remove_file(tree.path("gold/schemata")).unwrap();
    let error = group.change(&plan).unwrap_err().to_string();
    assert!(error.contains("gold/schemata"), "{error}");
}
