//! What comes after something else.

use std::io;

use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::error::{Error, ErrorKind, Result};

/// When an object may be there: once the one before it is. What takes long, and does not show, can be done before that.
#[derive(Debug)]
pub struct Turn(Option<oneshot::Receiver<()>>);

/// Says that it is there. If this is dropped, it is not, and what comes behind it must not be either.
#[derive(Debug)]
pub struct Done(oneshot::Sender<()>);

impl Turn {
    /// That of what nothing comes before.
    pub fn now() -> Self {
        Self(None)
    }

    /// That of what comes behind what this is [said](Done::say) of.
    pub fn behind() -> (Done, Self) {
        let (send, receive) = oneshot::channel();
        (Done(send), Self(Some(receive)))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// It does not come.
    pub async fn come(self) -> Result<()> {
        match self.0 {
            None => Ok(()),
            Some(receive) => receive.await.map_err(|_| given_up()),
        }
    }

    /// Whether it may still come, or has.
    ///
    /// # Errors
    /// It does not.
    pub fn ask(&mut self) -> Result<()> {
        match self.0.as_mut().map(oneshot::Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => Ok(()),
            Some(Ok(())) => {
                self.0 = None;
                Ok(())
            }
            Some(Err(TryRecvError::Closed)) => Err(given_up()),
        }
    }
}

impl Done {
    /// Says it.
    pub fn say(self) {
        // Where nobody waits for it, nobody has to hear it.
        let _ = self.0.send(());
    }
}

fn given_up() -> Error {
    Error::new(ErrorKind::Io(io::Error::other("given up, since what comes before it failed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_comes_when_what_is_before_it_is_done() {
        Turn::now().come().await.expect("nothing is before it");
        let (done, mut turn) = Turn::behind();
        turn.ask().expect("it may come");
        done.say();
        turn.ask().expect("it has come");
        turn.come().await.expect("it has come");
        let (done, mut turn) = Turn::behind();
        drop(done);
        assert!(turn.ask().is_err());
        assert!(turn.come().await.is_err());
    }
}
