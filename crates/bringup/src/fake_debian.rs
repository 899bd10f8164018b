// SPDX-License-Identifier: MIT OR Apache-2.0

//! For tests: a Debian archive without a network and a toolbox without programs. A shell script in
//! the sandbox's place plays apt and the few others that getting a kernel needs.

use std::path::PathBuf;

use crate::archive::{Archive, Package};
use crate::cache::Cache;
use crate::failure::Result;
use crate::kernel::Lock;
use crate::kernel::obtain::Obtain;
use crate::progress::Progress;
use crate::stamp::sha256_of;
use crate::toolbox::Toolbox;

/// A package's file is itself a shell script, which unpacks the package where it runs.
const SANDBOX: &str = r#"
# The folders of the PC by where the toolbox sees them.
while [ "$1" != -- ]; do
    case $1 in
    --bind | --ro-bind)
        case $3 in
        /archive) archive=$2 ;;
        /kernel) kernel=$2 ;;
        /out) out=$2 ;;
        esac
        shift 3 ;;
    *) shift ;;
    esac
done
shift
pool=$(dirname "$0")
for last; do :; done
case "$*" in
"rustc --version") echo 'rustc 1.85.1' ;;
apt-get*update)
    if [ -f "$pool/no-update" ]; then cat "$pool/no-update" >&2; exit 100; fi ;;
apt-cache*pkgnames*) ls "$pool/show" | sed s/:.*// ;;
apt-cache*show*)
    if ! cat "$pool/show/$last" 2>/dev/null; then
        echo 'E: No packages found' >&2
        exit 100
    fi ;;
apt-get*download*)
    for request; do
        if [ -f "$pool/files/$request" ]; then
            cp "$pool/files/$request" "$archive/packages.partial/$request.deb"
        fi
    done ;;
dpkg-deb*) cd "$out" && sh "$archive/${3#/archive/}" ;;
make*) cd "$kernel" && sh "$pool/make" ;;
python3*) cd "$out" && sh "$pool/python3" "$@" ;;
tar* | depmod*) ;;
*) echo "nobody plays $*" >&2; exit 1 ;;
esac
"#;

/// The archive, the toolbox, and a cache of its own.
#[derive(Debug)]
pub(crate) struct FakeDebian {
    guard: tempfile::TempDir,
    pub(crate) cache: Cache,
    pub(crate) progress: Progress,
    pub(crate) toolbox: Toolbox,
}

/// A package with its file.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) package: Package,
    content: String,
}

impl Offered {
    /// As apt names it.
    fn name(&self) -> String {
        qualified(&self.package)
    }
}

fn qualified(package: &Package) -> String {
    match package.architecture.as_str() {
        "all" => package.name.clone(),
        other => format!("{}:{other}", package.name),
    }
}

impl FakeDebian {
    /// The one symbol that its kernels export.
    pub(crate) const SYMBOL: &str = "_RNvCsA_6kernel1f";

    /// What gets packages from it.
    pub(crate) fn obtain(&self) -> Obtain<'_> {
        Obtain {
            toolbox: &self.toolbox,
            cache: &self.cache,
            progress: &self.progress,
            mirror: || Ok("http://mirror.example/debian".to_owned()),
        }
    }

    /// An archive without packages.
    pub(crate) fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        for folder in ["show", "files"] {
            std::fs::create_dir(guard.path().join(folder)).unwrap();
        }
        let script = guard.path().join("sandbox");
        std::fs::write(&script, SANDBOX).unwrap();
        Self {
            cache: Cache::at(guard.path().join("cache")).unwrap(),
            progress: Progress::new(false, guard.path().join("log")),
            toolbox: Toolbox::played_by(&script, guard.path().join("root")),
            guard,
        }
    }

    /// An empty folder that goes with the archive.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.guard.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// A package that is not offered yet; sources are for all architectures.
    pub(crate) fn package(&self, name: &str, version: &str, content: &str) -> Offered {
        let file = self.guard.path().join("content");
        std::fs::write(&file, content).unwrap();
        let is_source = name.starts_with("linux-source-");
        let package = Package {
            name: name.to_owned(),
            architecture: if is_source { "all" } else { "arm64" }.to_owned(),
            version: version.to_owned(),
            size: content.len() as u64,
            sha256: sha256_of(&file).unwrap(),
        };
        let content = content.to_owned();
        Offered { package, content }
    }

    /// Adds a version of a package.
    pub(crate) fn offer(&self, offered: &Offered) {
        use std::io::Write as _;

        let Package {
            name,
            architecture,
            version,
            size,
            sha256,
        } = &offered.package;
        let show = self.guard.path().join("show").join(offered.name());
        let mut show = std::fs::File::options()
            .append(true)
            .create(true)
            .open(show)
            .unwrap();
        write!(
            show,
            "Package: {name}\nArchitecture: {architecture}\nVersion: {version}\n\
             Size: {size}\nSHA256: {sha256}\n\n"
        )
        .unwrap();
        self.deliver(&offered.package, &offered.content);
    }

    /// What is downloaded for this package, whatever its hash.
    pub(crate) fn deliver(&self, package: &Package, content: &str) {
        let request = format!("{}={}", qualified(package), package.version);
        let file = self.guard.path().join("files").join(request);
        std::fs::write(file, content).unwrap();
    }

    /// Takes packages out again, in all versions.
    pub(crate) fn withdraw(&self, packages: &[Package]) {
        for package in packages {
            let show = self.guard.path().join("show").join(qualified(package));
            std::fs::remove_file(show).unwrap();
        }
    }

    /// Offers a kernel that takes Rust modules, and returns what locks it.
    pub(crate) fn offer_kernel(&self, release: &str, series: &str) -> Lock {
        let upstream = release.split('+').next().unwrap();
        let version = format!("{upstream}-1~bpo13+1");
        let headers = format!(
            "mkdir -p usr/src/linux-headers-{release} && cd usr/src/linux-headers-{release}\n\
             echo CONFIG_RUST=y > .config\n\
             echo 'CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.85.1\"' >> .config\n\
             printf '0x0\\t{}\\tvmlinux\\n' > Module.symvers\n\
             : > vmlinux\n",
            Self::SYMBOL
        );
        let source =
            format!("mkdir -p usr/src\n: > usr/src/linux-source-{series}.tar.xz # {version}\n");
        let nothing = |what: &str| format!("exit 0 # {what} {version}\n");
        let packages = [
            (format!("linux-source-{series}"), source),
            (format!("linux-headers-{release}"), headers),
            (format!("linux-base-{release}"), nothing("base")),
            (format!("linux-binary-{release}"), nothing("binary")),
            (format!("linux-modules-{release}"), nothing("modules")),
        ]
        .map(|(name, content)| {
            let offered = self.package(&name, &version, &content);
            self.offer(&offered);
            offered.package
        });
        Lock {
            suite: "trixie-backports".into(),
            series: series.into(),
            release: release.into(),
            rustc: "rustc 1.85.1".into(),
            packages: packages.into(),
        }
    }

    /// From now on nothing is fetched, and apt says this.
    pub(crate) fn fail_update(&self, complaint: &str) {
        std::fs::write(self.guard.path().join("no-update"), complaint).unwrap();
    }

    /// What `make` does in a kernel's folder.
    pub(crate) fn let_make(&self, script: &str) {
        std::fs::write(self.guard.path().join("make"), script).unwrap();
    }

    /// What Python does in the folder that is mounted for output.
    pub(crate) fn let_python(&self, script: &str) {
        std::fs::write(self.guard.path().join("python3"), script).unwrap();
    }

    /// The archive as it is now.
    pub(crate) fn archive(&self, suite: &str) -> Result<Archive<'_>> {
        let step = self.progress.step("archive", "a test")?;
        let mirror = "http://mirror.example/debian";
        Archive::refresh(&self.toolbox, &self.cache, mirror, suite, &step)
    }

    /// Fetches packages into the cache.
    pub(crate) fn fetch(&self, packages: &[Package]) -> Result<()> {
        let step = self.progress.step("fetch", "a test")?;
        let archive = self.archive("trixie-backports")?;
        archive.fetch(&self.cache, packages, &step)
    }
}
