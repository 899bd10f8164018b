// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the kit's own files are.

use std::path::{Path, PathBuf};

use board_spec::{Board, Boards};

use crate::exit::Exit;
use crate::failure::{Failure, OrFail, Result};
use crate::lock::{Lock, Mode};
use crate::progress::Progress;

/// The environment variable that names the checkout, for packages that lie outside it.
pub(crate) const VARIABLE: &str = "BRINGUP_KIT";

fn is_root(path: &Path) -> bool {
    path.join("kmod/Kbuild").is_file() && path.join("boards").is_dir()
}

/// The checkout that this program belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Finds it: the nearest folder from here upwards that holds `kmod` and `boards`, the one that
    /// [`VARIABLE`] names, or the one that this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::current_dir().or_environment(|| "cannot tell the current folder")?;
        let found = |root: &Path| {
            let root = root.to_path_buf();
            Ok(Self { root })
        };
        if let Some(root) = here.ancestors().find(|path| is_root(path)) {
            return found(root);
        }
        if let Some(named) = std::env::var_os(VARIABLE) {
            let named = PathBuf::from(named);
            if named.is_absolute() && is_root(&named) {
                return found(&named);
            }
            let what = format!(
                "{VARIABLE} names no checkout of the kit: {}",
                named.display()
            );
            let help = "give the whole path of the folder that you cloned";
            return Err(Failure::new(Exit::Refused, what).help(help));
        }
        match Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2) {
            Some(root) if is_root(root) => found(root),
            _ => Err(Failure::new(
                Exit::Refused,
                format!("{} is not within a checkout of the kit", here.display()),
            )
            .help(format!(
                "run this from the folder that you cloned, or name that in {VARIABLE}"
            ))),
        }
    }

    /// The top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The driver's source.
    pub(crate) fn kmod(&self) -> PathBuf {
        self.root.join("kmod")
    }

    /// The source that the driver shares with user space.
    pub(crate) fn abi(&self) -> PathBuf {
        self.root.join("crates/dmacopy-uapi/src/abi")
    }

    /// The register map that the driver shares with the hardware's model.
    pub(crate) fn registers(&self) -> PathBuf {
        self.root.join("crates/dmacopy-device/src/registers.rs")
    }

    /// The file that names the kernel.
    pub(crate) fn kernel_lock(&self) -> PathBuf {
        self.root.join("kmod/kernel.lock")
    }

    /// The file that names the packages of boards that are reached by remote login.
    pub(crate) fn target_lock(&self) -> PathBuf {
        self.root.join("boards/target.lock")
    }

    /// The file that names what a lab of this PC's own is made of.
    pub(crate) fn labgrid_lock(&self) -> PathBuf {
        self.root.join("boards/labgrid.lock")
    }

    /// Where everything that is built from this checkout goes.
    pub(crate) fn output(&self) -> PathBuf {
        self.root.join("target/bringup")
    }

    /// Keeps other runs from building in the output folder. The lock's file lies beside the
    /// folder, which may be removed while it is held.
    pub(crate) fn lock(&self, progress: &Progress) -> Result<Lock> {
        let folder = self.root.join("target");
        std::fs::create_dir_all(&folder)
            .or_environment(|| format!("cannot make the folder {}", folder.display()))?;
        Lock::take(&folder.join("bringup.lock"), Mode::Exclusive, progress)
    }

    /// All boards.
    pub(crate) fn boards(&self) -> Result<Boards> {
        let path = self.root.join("boards");
        Boards::find(&path).or_fail(Exit::Refused, || "cannot list the boards")
    }

    /// The board of this name, or the kit's default one.
    pub(crate) fn board_or_default(&self, name: Option<&str>) -> Result<Board> {
        let boards = self.boards()?;
        let name = name.unwrap_or(boards.default_name());
        boards.board(name).map_err(|error| {
            Failure::new(Exit::Refused, "cannot use this board")
                .because(error)
                .help("`cargo bringup boards` lists them")
        })
    }
}
