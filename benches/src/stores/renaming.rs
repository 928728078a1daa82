//! Files in the usual way: write a temporary one, rename it over the old. What the `file` driver is compared with.
//!
//! A rename over an old file makes ext4 write the new one's data out first, so that after a crash one of the two is
//! there whole: the same safety as the driver's.

use std::{
    fs,
    io::Result as IoResult,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Result, ensure};
use tokio::task::spawn_blocking;

use crate::{
    case::Case,
    content::Content,
    load::{Later, Make, Subject, Ticket},
};

/// Where the work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// On the thread that the request is on.
    Inline,
    /// On a thread for blocking work.
    Blocking,
}

/// What our record of a session takes beyond the session's JSON.
const BEYOND: usize = 100;

/// Files in this folder.
pub(super) fn make(folder: PathBuf, how: How) -> Make {
    Arc::new(move |content| {
        let folder = folder.clone();
        Box::pin(async move {
            fs::create_dir_all(&folder)?;
            Ok(Box::new(Files {
                folder,
                how,
                content,
                next: AtomicUsize::new(0),
            }) as _)
        })
    })
}

struct Files {
    folder: PathBuf,
    how: How,
    content: Arc<Content>,
    next: AtomicUsize,
}

impl Files {
    async fn perform<T: Send + 'static>(
        &self,
        ticket: &Ticket,
        work: fn(&Path) -> IoResult<T>,
    ) -> Result<T> {
        let path = self.folder.join(ticket.to_str()?);
        match self.how {
            How::Inline => Ok(work(&path)?),
            How::Blocking => Ok(spawn_blocking(move || work(&path)).await??),
        }
    }
}

fn read(path: &Path) -> IoResult<Vec<u8>> {
    fs::read(path)
}

/// The first eight bytes count.
fn count(path: &Path) -> IoResult<u64> {
    let mut record = fs::read(path)?;
    let mut count = 0;
    if let Some(first) = record.first_chunk_mut::<8>() {
        count = u64::from_be_bytes(*first) + 1;
        *first = count.to_be_bytes();
    }
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, record)?;
    fs::rename(&temporary, path)?;
    Ok(count)
}

impl Subject for Files {
    fn create(&self) -> Later<'_, Ticket> {
        Box::pin(async {
            let name = format!("{:064x}", self.next.fetch_add(1, Ordering::Relaxed));
            fs::write(
                self.folder.join(&name),
                vec![0; self.content.bytes() + BEYOND],
            )?;
            Ok(Ticket::from_str(&name)?)
        })
    }

    fn send<'a>(&'a self, case: Case, ticket: &'a Ticket) -> Later<'a, ()> {
        Box::pin(async move {
            match case {
                Case::ReadWrite => self.perform(ticket, count).await.map(drop),
                _ => self.perform(ticket, read).await.map(drop),
            }
        })
    }

    fn ask<'a>(&'a self, case: Case, ticket: &'a Ticket) -> Later<'a, String> {
        Box::pin(async move {
            if case == Case::ReadWrite {
                return Ok(self.perform(ticket, count).await?.to_string());
            }
            let record = self.perform(ticket, read).await?;
            ensure!(
                record.len() == self.content.bytes() + BEYOND,
                "a strange record"
            );
            Ok(self.content.user.to_string())
        })
    }
}
