// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bringup bench stand-in`: plays a board on a desk until Ctrl-C.

use crate::cli::{By, StandIn as Options};
use crate::exit::Exit;
use crate::failure::{OrFail, Result};
use crate::lab::Labgrid;
use crate::login::Login;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::setup::Setup;
use crate::stand_in::{Parts, StandIn};
use crate::{module, target_programs};

pub(super) fn run(options: &Options, progress: &Progress) -> Result<Exit> {
    let repository = Repository::find()?;
    let board = repository.board_or_default(options.board.as_deref())?;
    let setup = Setup::new(options.set_up.choices(), progress)?;
    let built = module::build(&setup, progress)?;
    let agent = target_programs::build_program(&setup.tools, progress)?;
    let folder = &options.folder;
    std::fs::create_dir_all(folder)
        .or_environment(|| format!("cannot make {}", folder.display()))?;
    let folder = folder.canonicalize();
    let folder = folder.or_environment(|| "cannot tell where the stand-in is")?;
    let login = match options.by {
        By::Serial | By::Labgrid => None,
        By::Ssh => {
            let choices = options.set_up.choices();
            Some(Login::prepare(&setup, choices, &folder, progress)?)
        }
    };
    let labgrid = match options.by {
        By::Serial | By::Ssh => None,
        By::Labgrid => {
            let choices = options.set_up.choices();
            Some(Labgrid::prepare(&setup, choices, progress)?)
        }
    };
    let step = progress.step("stand-in", &format!("preparing {}", board.title))?;
    let parts = Parts {
        module: &built.stripped,
        agent: &agent,
        programs: options.pack.clone(),
        kernel_arguments: options.kernel_argument.clone(),
        bad_line: options.bad_line,
        login: login.as_ref(),
        labgrid: labgrid.as_ref(),
    };
    let title = board.title.clone();
    let stand_in = StandIn::new(&setup, board, parts, &options.name, &folder, &step)?;
    step.done(&format!("{title} stands in for one on a desk"));
    // The board relies on toolbox and kernel as long as it runs.
    let _relying = setup.finish_building();
    anstream::eprintln!(
        "BRINGUP_BENCHES={} names its description; --bench {} uses it; Ctrl-C ends it",
        stand_in.path().display(),
        options.name
    );
    stand_in.run(|| false)?;
    Ok(Exit::Ok)
}
