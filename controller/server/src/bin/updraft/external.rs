//! `updraft external -- COMMAND`: runs a command where the outside world is.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::cloud::Cloud;
use crate::error::Error;
use crate::layout::Layout;
use crate::namespace;

pub fn run(layout: &Layout, command: &[String]) -> Result<ExitCode, Error> {
    let cloud = Cloud::load(layout)?;
    namespace::enter(&cloud.external_namespace())?;
    let (program, arguments) =
        command.split_first().ok_or_else(|| Error::Requirement("a command is missing".to_owned()))?;
    let error = Command::new(program).args(arguments).exec();
    Err(Error::io(format!("cannot run {program}"))(error))
}
