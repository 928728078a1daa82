//! A small file system of our own, which can be full and read-only.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use xtask::{
    error::{Context, Error, Result},
    process,
};

/// A mounted file system in a file. The guard unmounts what is left.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

/// Where the bytes are that fill it.
const FILLER: &str = "filler";

impl Disk {
    /// Makes one of so many bytes below this folder.
    ///
    /// # Errors
    /// We are not root, or the system has no loop devices.
    pub fn mount(below: &Path, bytes: u64) -> Result<Self> {
        let (image, folder) = (below.join("disk.img"), below.join("disk"));
        let file = File::create(&image).context("making a disk")?;
        file.set_len(bytes).context("making a disk")?;
        std::fs::create_dir_all(&folder).context("making a disk's folder")?;
        run(
            "mkfs.ext4",
            &["-q", "-m", "0", "-O", "^has_journal"],
            &image,
        )?;
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&image).arg(&folder);
        process::output(&mut mount)?;
        Ok(Self { folder })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// It cannot be written, for another reason.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.folder.join(FILLER)).context("filling a disk")?;
        for size in [1 << 16, 1 << 12, 1] {
            let bytes = vec![0; size];
            while file
                .write_all(&bytes)
                .and_then(|()| file.sync_data())
                .is_ok()
            {}
        }
        let written = file.metadata().context("filling a disk")?.len();
        if written == 0 {
            return Err(Error::new("the disk takes no filler"));
        }
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// The filler does not go.
    pub fn empty(&self) -> Result<()> {
        std::fs::remove_file(self.folder.join(FILLER)).context("emptying a disk")
    }

    /// Lets nobody write any more, not even who has a file open; or again. SQLite's shared memory is left out: it is
    /// mapped, and its owner would be killed.
    ///
    /// # Errors
    /// The file system has no such flag.
    pub fn freeze(&self, below: &Path, frozen: bool) -> Result<()> {
        let mut find = Command::new("find");
        find.arg(below)
            .args(["-not", "-name", "*-shm", "-exec", "chattr", "-f"]);
        find.arg(if frozen { "+i" } else { "-i" }).args(["{}", "+"]);
        // A file that goes while it looks is no reason to fail; that nothing is frozen would be.
        process::output(&mut find).map(drop).or_else(|error| {
            let probe = below.join("probe");
            let writable = std::fs::write(&probe, "").is_ok();
            drop(std::fs::remove_file(probe));
            if writable == frozen {
                Err(error)
            } else {
                Ok(())
            }
        })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(run("umount", &["--lazy"], &self.folder));
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> Result<()> {
    let program = process::need(program)?;
    process::output(Command::new(program).args(arguments).arg(path)).map(drop)
}
