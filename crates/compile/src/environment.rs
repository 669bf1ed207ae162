//! Where the process starts, what its environment is, and which file it executes.

use crate::compiler::Compiler;
use crate::{Code, Origin};
use orlop_program::Step;
use orlop_program::wire::{List, Str};
use orlop_spec::{Pointer, Process};
use std::collections::BTreeSet;

/// Where programs are looked for if the environment does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Compiler<'_> {
    /// Makes the working directory, if it does not exist.
    pub(crate) fn make_cwd(&mut self) {
        let Some(process) = &self.spec.process else { return };
        if process.cwd.starts_with('/') && crate::paths::clean(&process.cwd) != "/" {
            let step = Step::MakeDir { path: process.cwd.as_str().into() };
            self.step(
                step,
                Pointer::new("/process/cwd"),
                "Images may name a working directory that they do not have.",
            );
        }
    }

    /// Changes to the working directory. Twice: root may enter where the user may not, and on some network file systems
    /// the other way round.
    pub(crate) fn cwd(&mut self, process: &Process, last: bool) {
        let pointer = Pointer::new("/process/cwd");
        if process.cwd.starts_with('/') {
            let why = if last {
                "If root was not let in, the user may be; the directory must be inside the root."
            } else {
                "While root's rights still open every directory."
            };
            self.step(Step::Cwd { path: process.cwd.as_str().into(), last }, pointer, why);
        } else if last {
            let what = if process.cwd.is_empty() {
                "missing".into()
            } else {
                format!("{:?}, not absolute", process.cwd)
            };
            self.error(Code::Cwd, pointer, format!("the working directory is {what}"))
                .hint("the root is \"/\"");
        }
    }

    /// The environment as the process gets it: of equal names the last counts. Also whether `HOME` is in it.
    pub(crate) fn environment<'p>(&mut self, process: &'p Process) -> (Vec<Str<'p>>, bool) {
        let name = |variable: &'p String| variable.split_once('=').map_or("", |(name, _)| name);
        for (index, variable) in process.env.iter().enumerate().filter(|(_, v)| name(v).is_empty()) {
            let message = format!("{variable:?} is no variable: it must be NAME=VALUE");
            self.error(Code::Env, Pointer::new("/process/env/{}").at(index), message);
        }
        let mut names = BTreeSet::new();
        let mut env = Vec::with_capacity(process.env.len() + 2);
        let mut has_home = false;
        for variable in process.env.iter().rev() {
            if !names.insert(name(variable)) {
                continue;
            }
            // An empty home is none, whatever came before (as with runc).
            if variable != "HOME=" {
                env.push(Str::from(variable));
                has_home |= name(variable) == "HOME";
            }
        }
        env.reverse();
        (env, has_home)
    }

    /// Finds `HOME` where the environment lacks it.
    pub(crate) fn home(&mut self, process: &Process, has_home: bool) {
        if !has_home {
            let origin = Origin::Rule("every process has a home directory");
            let why = "From /etc/passwd in the container, while root's rights let us read it.";
            self.step(Step::Home { uid: process.user.uid }, origin, why);
        }
    }

    /// Finds the file to execute, as execvp(3) does.
    pub(crate) fn locate(&mut self, process: &Process) {
        let Some(program) = process.args.first() else {
            let message = "there are no arguments: the first one is the program to execute";
            self.error(Code::Args, Pointer::new("/process/args"), message);
            return;
        };
        if program.is_empty() {
            let message = "the program to execute is an empty string";
            self.error(Code::Args, Pointer::new("/process/args/0"), message);
            return;
        }
        let candidates =
            if program.contains('/') { vec![program.clone()] } else { self.candidates(process, program) };
        let candidates: Vec<Str<'_>> = candidates.iter().map(Str::from).collect();
        let step = Step::Locate { candidates: List::from(candidates.as_slice()) };
        let why =
            "With the rights of the user, and early enough that a missing program is an error of create.";
        self.step(step, Pointer::new("/process/args/0"), why);
    }

    /// Where a name without slash may be found.
    fn candidates(&mut self, process: &Process, program: &str) -> Vec<String> {
        let given =
            process.env.iter().enumerate().rev().find_map(|(i, v)| Some((i, v.strip_prefix("PATH=")?)));
        let path = given.map_or(PATH, |(_, path)| path);
        let mut candidates = Vec::new();
        for directory in path.split(':') {
            if directory.starts_with('/') {
                candidates.push(format!("{}/{program}", directory.trim_end_matches('/')));
            } else if let Some((index, _)) = given {
                let message = format!("programs are not looked for in {directory:?}, as it is not absolute");
                self.warn(Code::SearchPath, Pointer::new("/process/env/{}").at(index), message);
            }
        }
        if candidates.is_empty() {
            let message = format!("{program:?} cannot be found: PATH has no absolute directory");
            self.error(Code::SearchPath, Pointer::new("/process/args/0"), message);
        }
        candidates
    }
}
