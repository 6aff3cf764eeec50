//! Post-quantum keys, with npm's `age-encryption`: the `age` program has them from 1.3 on, which few systems have yet.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use super::{Ages, Key};
use crate::interop::checks::Checks;
use crate::interop::container::Sealed;
use crate::interop::tools::{run, text};

impl Ages<'_> {
    /// Keys of both sides, envelopes of both sides.
    pub(super) fn post_quantum(&self, checks: &mut Checks) -> anyhow::Result<()> {
        let mut keygen = self.tools.carstone("keygen");
        keygen.arg("--pq");
        let ours = Key::make(self.work, keygen, "carstone-pq.txt")?;
        let theirs = Key::make(self.work, self.typage("keygen"), "typage-pq.txt")?;
        checks.check("age-encryption gives the recipient of a key of carstone keygen --pq", || {
            let recipient = text(self.typage("recipient").arg(&ours.file))?;
            ensure!(recipient == ours.recipient, "{recipient} is another recipient");
            Ok(())
        });
        for key in [&ours, &theirs] {
            let name = key.file.file_stem().unwrap_or_default().display().to_string();
            checks.check(&format!("age-encryption opens an envelope of carstone: {name}"), || {
                let pack = self.create(&format!("to-{name}"), |create| {
                    create.args(["-r", &ours.recipient, "-r", &theirs.recipient]);
                })?;
                let sealed = Sealed::read(&fs::read(&pack)?)?;
                let envelope = self.work.join("pq.age");
                fs::write(&envelope, &sealed.envelope)?;
                sealed.check_key(&run(self.typage("open").arg(&key.file).arg(&envelope))?)?;
                self.extracts(&pack, "-i", &key.file)
            });
            checks.check(&format!("carstone opens an envelope of age-encryption: {name}"), || {
                let pack = self.sealed_by_typage(&format!("by-{name}"), &[&key.recipient])?;
                self.extracts(&pack, "-i", &key.file)
            });
        }
        checks.check("carstone opens an envelope of age-encryption to keys of both kinds", || {
            let recipients = [&*self.age_key.recipient, &ours.recipient];
            let pack = self.sealed_by_typage("mixed-pq", &recipients)?;
            self.extracts(&pack, "-i", &ours.file)?;
            self.extracts(&pack, "-i", &self.age_key.file)
        });
        checks.check("carstone refuses to seal to keys of both kinds", || {
            let pack = self.work.join("refused.cstone");
            let mut create = self.tools.carstone("create");
            create.args(["-r", &self.age_key.recipient, "-r", &ours.recipient, "-o"]);
            let output = create.arg(&pack).arg(self.source).output()?;
            ensure!(output.status.code() == Some(2), "it ended with {}", output.status);
            ensure!(!pack.exists(), "it wrote a pack");
            Ok(())
        });
        checks.check("carstone refuses another post-quantum key", || {
            let pack = self.sealed_by_typage("other-pq", &[&ours.recipient])?;
            let output =
                self.tools.carstone("list").arg("-i").arg(&theirs.file).arg(pack).output()?;
            ensure!(output.status.code() == Some(2), "it ended with {}", output.status);
            Ok(())
        });
        Ok(())
    }

    fn typage(&self, command: &str) -> Command {
        let mut call = self.tools.script("age.mjs");
        call.arg(command);
        call
    }

    fn sealed_by_typage(
        &self,
        name: &str,
        recipients: &[&str],
    ) -> anyhow::Result<std::path::PathBuf> {
        let plain = self.plain_key(name)?;
        let envelope = plain.with_extension("age");
        let files = [plain.as_path(), &envelope].map(Path::as_os_str);
        let recipients = recipients.iter().map(OsStr::new);
        run(self.typage("seal").args(files.into_iter().chain(recipients)))?;
        self.pack_under(&plain, &envelope)
    }
}
