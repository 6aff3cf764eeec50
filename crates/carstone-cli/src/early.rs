//! Sends what is written on to the disk while more is written, so that little is left to wait for at the end.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use crate::target::Target;

/// Runs `write` with a sink that leads to the file of `target`, and gives what that gave.
///
/// # Errors
/// The disk does not take it: the last call for the file would not be told a second time.
pub(crate) fn early<T>(target: &Target, write: impl FnOnce(&mut Early<'_>) -> T) -> io::Result<T> {
    let file = target.file();
    if !target.is_seekable() {
        return Ok(write(&mut Early { file, fresh: 0, tell: None }));
    }
    thread::scope(|scope| {
        let (tell, told) = sync_channel(1);
        let syncing = scope.spawn(move || told.iter().try_for_each(|()| file.sync_data()));
        let mut sink = Early { file, fresh: 0, tell: Some(tell) };
        let value = write(&mut sink);
        // Nothing more is told, and the thread ends.
        drop(sink);
        let synced = syncing.join().unwrap_or_else(|_| Err(io::Error::other("a thread was lost")));
        synced.map(|()| value)
    })
}

/// A file that is sent on to the disk every now and then.
pub(crate) struct Early<'a> {
    file: &'a File,
    /// Bytes since it was told to be sent on.
    fresh: u64,
    tell: Option<SyncSender<()>>,
}

impl Write for Early<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buf)?;
        self.fresh += n as u64;
        if self.fresh >= EVERY
            && let Some(tell) = &self.tell
        {
            self.fresh = 0;
            // Where the one before is still on its way, the next one takes this with it.
            let _ = tell.try_send(());
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const EVERY: u64 = 64 << 20;
