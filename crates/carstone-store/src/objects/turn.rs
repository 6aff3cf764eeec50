//! What comes after something else.

use std::io;

use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::error::{Error, ErrorKind, Result};

/// When an object may be there: once the one before it is. What takes long, and does not show, can be done before that.
#[derive(Debug)]
pub struct Turn(State);

#[derive(Debug)]
enum State {
    Here,
    Waiting(oneshot::Receiver<()>),
    GivenUp,
}

/// Says that it is there. If this is dropped, it is not, and what comes behind it must not be either.
#[derive(Debug)]
pub struct Done(oneshot::Sender<()>);

impl Turn {
    /// That of what nothing comes before.
    pub fn now() -> Self {
        Self(State::Here)
    }

    /// That of what comes behind what this is [said](Done::say) of.
    pub fn behind() -> (Done, Self) {
        let (send, receive) = oneshot::channel();
        (Done(send), Self(State::Waiting(receive)))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// It does not come.
    pub async fn come(self) -> Result<()> {
        match self.0 {
            State::Here => Ok(()),
            State::Waiting(receive) => receive.await.map_err(|_| given_up()),
            State::GivenUp => Err(given_up()),
        }
    }

    /// Whether it may still come, or has.
    ///
    /// # Errors
    /// It does not.
    pub fn ask(&mut self) -> Result<()> {
        if let State::Waiting(receive) = &mut self.0 {
            match receive.try_recv() {
                Err(TryRecvError::Empty) => return Ok(()),
                Ok(()) => self.0 = State::Here,
                Err(TryRecvError::Closed) => self.0 = State::GivenUp,
            }
        }
        match self.0 {
            State::GivenUp => Err(given_up()),
            _ => Ok(()),
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
        assert!(turn.ask().is_err());
        assert!(turn.come().await.is_err());
    }
}
