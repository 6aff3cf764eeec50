//! Key envelopes: a pack's content key, sealed to age recipients or to a passphrase.
//!
//! ```
//! use carstone_keys::{ContentKey, Envelope, ErrorKind, Identities, Identity, Recipients};
//!
//! let alice = Identity::generate()?;
//! let key = ContentKey::generate()?;
//!
//! let mut recipients = Recipients::new();
//! recipients.add(alice.to_public());
//! let envelope = recipients.seal(&key)?;
//!
//! let stored = envelope.as_bytes().to_vec();
//! let mut identities = Identities::new();
//! identities.add_identity(alice);
//! assert_eq!(identities.open(&Envelope::from_bytes(&stored)?)?, key);
//!
//! let mut stranger = Identities::new();
//! stranger.add_identity(Identity::generate()?);
//! let refused = stranger.open(&envelope).unwrap_err();
//! assert!(matches!(refused.kind(), ErrorKind::NoMatchingKey { .. }));
//! # Ok::<(), carstone_keys::Error>(())
//! ```
//!
//! # When to use it
//!
//! Whenever a 32-byte key has to reach people who already have age keys, a passphrase, or (with the
//! feature `ssh`) SSH keys. An [`Envelope`] is an ordinary binary age file, so that anyone who has the
//! `age` program and an identity can open it without carstone. It is no place for data: what it carries is
//! always one [`ContentKey`].
//!
//! Native keys are of two kinds. `age1…` is X25519. `age1pq1…` (`mlkem768x25519`) puts ML-KEM-768 beside it, so
//! that who keeps an envelope until there are quantum computers cannot open it then; it is the better choice for
//! what has to stay secret for decades, if all readers have age 1.3, typage 0.3 or carstone. An envelope is sealed
//! to keys of one of these sorts only, because it is as strong as its weakest stanza; others' envelopes that mix
//! them are opened.
//!
//! # Guarantees
//!
//! - A key comes out of [`Identities::open`] only if the header's MAC and the payload's tag hold, and if the
//!   payload is the version byte `0x01` and 32 bytes, neither more nor less.
//! - Nothing read from outside makes this crate panic, hang or allocate without limit: an envelope and a
//!   key file have at most [`MAX_LEN`] bytes, and a passphrase costs at most the work factor that the
//!   reader allows ([`Identities::with_max_work_factor`]).
//! - A passphrase is asked for only when it is needed: the callback runs when the envelope has a
//!   passphrase stanza, or when no other identity opened it and a locked key file is left.
//! - Keys are wiped from memory when dropped. Error messages name the file and the line and never repeat
//!   what stands there. `Debug` shows no secret.
//!
//! # What an envelope does not prove
//!
//! Sealing needs only public keys, so **an envelope says nothing about who made it**. And whoever can open
//! a pack holds its content key, which is all it takes to encrypt other contents under it: one reader can
//! make a pack that looks to the other readers as if it came from the author. Encryption under a shared
//! key protects against everyone who does not have the key, and against nobody who has it. Only a
//! signature over the pack prevents such a forgery; use one wherever readers do not trust each other.
//!
//! An envelope can be sealed again to other recipients ([`Identities::open`], then [`Recipients::seal`]).
//! That takes nothing away from those who opened the old one: they have the key.
//!
//! # Format
//!
//! A binary file of the age format v1 (<https://c2sp.org/age>) whose plaintext is `0x01` and the 32 bytes of
//! the content key; section *Key envelope* of `docs/format.md`. All vectors that the age project publishes come out
//! as they say. Two of them the `age` crate alone does not refuse, headers in which the last line of a stanza's
//! body is missing (`stanza_missing_body`, `stanza_missing_final_line`): this crate checks headers before it.
//!
//! # Features
//!
//! - `plugin`: recipients `age1NAME1…` and identities `AGE-PLUGIN-NAME-1…`, for which the program `age-plugin-NAME`
//!   is run, if it is in `PATH`. Which programs run is decided by the recipients and the key files that are given,
//!   never by an envelope. Native keys are tried first. With `AGEDEBUG=plugin` in the environment, where the age library
//!   would print all that it tells a plugin and hears from it, keys included, none is run. Off by default because it runs programs.
//! - `ssh`: recipients `ssh-ed25519 …` and `ssh-rsa …`, and private keys of OpenSSH as identities. Off by
//!   default because it brings an RSA implementation, whose time of decryption tells something of the key to whoever
//!   can measure many of them (RUSTSEC-2023-0071): a service that opens envelopes of strangers does without RSA keys.
//! - `sign`: signatures over packs with keys of OpenSSH, in the module `sign`. Off by default because it brings an RSA
//!   implementation too.

mod content_key;
mod envelope;
mod error;
mod header;
mod hybrid;
mod identities;
mod identity;
mod key_file;
mod locked;
mod payload;
#[cfg(feature = "plugin")]
mod plugin;
mod recipient;
mod recipients;
#[cfg(feature = "sign")]
pub mod sign;
#[cfg(feature = "ssh")]
mod ssh;
mod time;

pub use content_key::ContentKey;
pub use envelope::{Envelope, MAX_LEN};
pub use error::{Error, ErrorKind};
pub use header::RecipientKind;
pub use identities::{DEFAULT_MAX_WORK_FACTOR, Identities, PassphraseFor};
pub use identity::Identity;
#[cfg(feature = "plugin")]
pub use plugin::PluginUi;
pub use recipient::Recipient;
pub use recipients::{DEFAULT_WORK_FACTOR, Recipients};
pub use secrecy;

#[cfg(test)]
mod vectors;
