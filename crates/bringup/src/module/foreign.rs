// SPDX-License-Identifier: MIT OR Apache-2.0

//! Builds the driver for a kernel build folder of the user's own.

use std::path::{Path, PathBuf};

use super::{FILE, empty};
use crate::exit::Exit;
use crate::external;
use crate::failure::{Failure, Result};
use crate::kernel::select::{rustc_of, toolbox_rustc};
use crate::progress::Progress;
use crate::setup::ToolboxSetup;
use crate::toolbox::{Access, OUTPUT, SOURCE};

/// What every build folder holds once `make modules_prepare` has run on it.
const PREPARED: [&str; 3] = [".config", "Makefile", "include/config/kernel.release"];

/// A kernel build folder that has been looked at.
struct Tree {
    folder: PathBuf,
    source: PathBuf,
    release: String,
}

/// Builds the driver for the kernel in `folder` and returns the module.
pub(crate) fn build(setup: &ToolboxSetup, folder: &Path, progress: &Progress) -> Result<PathBuf> {
    let rustc = toolbox_rustc(&setup.toolbox)?;
    let tree = examine(folder, &rustc).map_err(|what| {
        let what = format!("cannot build for {}: {what}", folder.display());
        how_to_prepare(Failure::new(Exit::Refused, what))
    })?;
    let step = progress.step("module", &format!("building kmod for {}", tree.release))?;
    let name = format!("module-{}", tree.release);
    let output = setup.repository.output().join(&name);
    empty(&output)?;
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut command = setup
        .toolbox
        .enter()
        .mount(setup.repository.root(), SOURCE, Access::Read)
        .mount(&setup.repository.output(), OUTPUT, Access::Write)
        // Where distributions put kernels; what the toolbox has there is not needed for a module.
        .empty("/usr/src")
        // A build folder names its source by the path under which it was prepared.
        .mount_where_it_is(&tree.source, Access::Read)
        .mount_where_it_is(&tree.folder, Access::Read)
        .program("make");
    command
        .arg(format!("--jobs={jobs}"))
        .arg(format!("--directory={}", tree.folder.display()))
        .args(["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"])
        .arg(format!("M={SOURCE}/kmod"))
        .arg(format!("MO={OUTPUT}/{name}"))
        .arg("modules");
    external::run(&mut command, &step, Exit::Build)?;
    step.done(&format!("{FILE} for {}", tree.release));
    Ok(output.join(FILE))
}

/// Refuses what is no prepared build folder at all, before a toolbox is made for it.
pub(crate) fn require_prepared(folder: &Path) -> Result<()> {
    let lacks: Vec<_> = PREPARED
        .into_iter()
        .filter(|name| !folder.join(name).is_file())
        .collect();
    let folder = folder.display();
    let what = match lacks[..] {
        [] => return Ok(()),
        _ if lacks.len() == PREPARED.len() => {
            format!(
                "{folder} is no kernel build folder: it lacks {}",
                lacks.join(", ")
            )
        }
        _ => format!(
            "the kernel build folder {folder} is not prepared for modules: it lacks {}",
            lacks.join(", ")
        ),
    };
    Err(how_to_prepare(Failure::new(Exit::Refused, what)))
}

fn how_to_prepare(failure: Failure) -> Failure {
    failure
        .help(
            "to make one, put a configuration with CONFIG_RUST=y into FOLDER/.config, then run in \
             the kernel's source, with the toolbox's compilers: `make O=FOLDER ARCH=arm64 \
             CROSS_COMPILE=aarch64-linux-gnu- olddefconfig modules_prepare`",
        )
        .help("without --kernel the driver is built for the stock kernel of the lock file")
}

/// Why a folder will not do is said before anything is built.
fn examine(folder: &Path, rustc: &str) -> std::result::Result<Tree, String> {
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;
    let read = |name: &str| {
        std::fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    let config = read(".config")?;
    let has = |option: &str| config.lines().any(|line| line == option);
    if !has("CONFIG_ARM64=y") {
        return Err("it is not a kernel for arm64".into());
    }
    if !has("CONFIG_RUST=y") {
        return Err("it is configured without CONFIG_RUST".into());
    }
    if has("CONFIG_CC_IS_CLANG=y") {
        return Err("it was built by clang, and the toolbox builds with gcc".into());
    }
    let built_by = rustc_of(&config).unwrap_or("an unnamed compiler");
    if built_by != rustc {
        return Err(format!(
            "it was built by {built_by}, the toolbox has {rustc}"
        ));
    }
    if !folder.join("rust/libkernel.rmeta").is_file() {
        return Err("it holds no Rust metadata (rust/libkernel.rmeta)".into());
    }
    let release = read("include/config/kernel.release")?.trim().to_owned();
    let source = source_of(&folder).ok_or("its source is not where it says")?;
    Ok(Tree {
        folder,
        source,
        release,
    })
}

/// The source of a build folder: what its makefile includes, or the folder itself.
fn source_of(folder: &Path) -> Option<PathBuf> {
    let makefile = std::fs::read_to_string(folder.join("Makefile")).ok()?;
    let included = makefile
        .lines()
        .find_map(|line| line.strip_prefix("include ")?.strip_suffix("/Makefile"));
    let source = match included {
        Some(path) if !path.contains('$') => folder.join(path),
        _ => folder.to_path_buf(),
    };
    let source = source.canonicalize().ok()?;
    source
        .join("scripts/Makefile.build")
        .is_file()
        .then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSTC: &str = "rustc 1.85.1";

    /// A folder that passes every look, but for what `change` does to it.
    fn tree(change: impl FnOnce(&Path)) -> std::result::Result<String, String> {
        let guard = tempfile::tempdir().unwrap();
        let folder = guard.path();
        for sub in ["rust", "include/config", "scripts"] {
            std::fs::create_dir_all(folder.join(sub)).unwrap();
        }
        let config =
            format!("CONFIG_ARM64=y\nCONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT=\"{RUSTC}\"\n");
        for (name, text) in [
            (".config", config.as_str()),
            ("Makefile", "VERSION = 7\n"),
            ("rust/libkernel.rmeta", ""),
            ("include/config/kernel.release", "7.3.4-mine\n"),
            ("scripts/Makefile.build", ""),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        change(folder);
        examine(folder, RUSTC).map(|tree| tree.release)
    }

    fn replace(folder: &Path, from: &str, to: &str) {
        let path = folder.join(".config");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    #[test]
    fn what_is_no_prepared_build_folder_is_told_what_it_lacks_and_how_to_make_one() {
        let guard = tempfile::tempdir().unwrap();
        let folder = guard.path();
        let refused = || {
            let failure = require_prepared(folder).unwrap_err();
            assert_eq!(failure.exit(), Exit::Refused);
            assert!(failure.help_lines()[0].contains("modules_prepare"));
            failure.summary()
        };
        let summary = refused();
        assert!(summary.contains("is no kernel build folder"), "{summary}");
        for name in PREPARED {
            assert!(summary.contains(name), "{summary}");
        }
        std::fs::write(folder.join(".config"), "CONFIG_RUST=y\n").unwrap();
        let summary = refused();
        assert!(summary.contains("not prepared for modules"), "{summary}");
        assert!(summary.ends_with("it lacks Makefile, include/config/kernel.release"));
        std::fs::write(folder.join("Makefile"), "").unwrap();
        std::fs::create_dir_all(folder.join("include/config")).unwrap();
        std::fs::write(folder.join("include/config/kernel.release"), "7\n").unwrap();
        require_prepared(folder).unwrap();
    }

    #[test]
    fn a_prepared_tree_is_taken_and_its_release_read() {
        assert_eq!(tree(|_| {}), Ok("7.3.4-mine".to_owned()));
    }

    #[test]
    fn a_tree_that_cannot_work_is_refused_with_the_reason() {
        let refused = |change: fn(&Path)| tree(change).unwrap_err();
        assert!(refused(|f| replace(f, "CONFIG_RUST=y", "")).contains("without CONFIG_RUST"));
        assert!(refused(|f| replace(f, "CONFIG_ARM64=y", "")).contains("not a kernel for arm64"));
        assert!(refused(|f| replace(f, "1.85.1", "1.97.1")).contains("rustc 1.97.1"));
        let clang = "CONFIG_CC_IS_CLANG=y\nCONFIG_RUST=y";
        assert!(
            tree(|f| replace(f, "CONFIG_RUST=y", clang))
                .unwrap_err()
                .contains("clang")
        );
        let remove = |name: &'static str| {
            tree(|folder| std::fs::remove_file(folder.join(name)).unwrap()).unwrap_err()
        };
        assert!(remove("rust/libkernel.rmeta").contains("no Rust metadata"));
        assert!(remove(".config").contains(".config"));
        assert!(remove("scripts/Makefile.build").contains("source"));
    }
}
