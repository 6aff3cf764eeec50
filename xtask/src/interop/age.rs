//! Keys and envelopes: those of carstone are opened by `age`, those of `age` by carstone.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::checks::Checks;
use super::container::Sealed;
use super::tools::{Tools, has, run, text, typed};
use crate::snapshot::{Compare, Tree, compare, snapshot};

mod typage;

/// Runs all checks. The tree is whatever lies in `source`.
pub fn run_all(
    tools: &Tools,
    work: &Path,
    source: &Path,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    if !has("age") || !has("age-keygen") {
        checks.skip("age", "it is not installed (apt-get install age)");
        return Ok(());
    }
    let ages = Ages::prepare(tools, work, source)?;
    ages.keys(checks);
    ages.envelopes_of_carstone(checks, "age");
    match has("rage") {
        true => ages.envelopes_of_carstone(checks, "rage"),
        false => checks.skip("rage", "it is not installed (cargo install rage)"),
    }
    ages.envelopes_of_age(checks);
    ages.passphrases(checks);
    ages.ssh_keys(checks);
    ages.post_quantum(checks)
}

struct Ages<'a> {
    tools: &'a Tools,
    work: &'a Path,
    source: &'a Path,
    tree: Tree,
    /// Made by age-keygen and by carstone keygen.
    age_key: Key,
    carstone_key: Key,
    /// A file with a passphrase.
    passphrase: PathBuf,
}

/// An identity file, and its recipient as the program said that made it.
struct Key {
    file: PathBuf,
    recipient: String,
}

impl Key {
    fn make(work: &Path, mut keygen: Command, name: &str) -> anyhow::Result<Self> {
        let file = work.join(name);
        run(keygen.arg("-o").arg(&file))?;
        let written = fs::read_to_string(&file)?;
        let recipient = written.lines().find_map(|line| line.strip_prefix("# public key: "));
        let recipient = recipient.context("a key file names no public key")?.to_owned();
        Ok(Self { file, recipient })
    }
}

const PASSPHRASE: &str = "seven beds of sandstone";

impl<'a> Ages<'a> {
    fn prepare(tools: &'a Tools, work: &'a Path, source: &'a Path) -> anyhow::Result<Self> {
        let passphrase = work.join("passphrase.txt");
        fs::write(&passphrase, format!("{PASSPHRASE}\n"))?;
        Ok(Self {
            tools,
            work,
            source,
            tree: snapshot(source)?,
            age_key: Key::make(work, Command::new("age-keygen"), "age-key.txt")?,
            carstone_key: Key::make(work, tools.carstone("keygen"), "carstone-key.txt")?,
            passphrase,
        })
    }

    /// Keys of either program in the other.
    fn keys(&self, checks: &mut Checks) {
        let Self { age_key, carstone_key, .. } = self;
        checks.check("age-keygen -y gives the recipient of a key of carstone keygen", || {
            let recipient = text(Command::new("age-keygen").arg("-y").arg(&carstone_key.file))?;
            ensure!(recipient == carstone_key.recipient, "{recipient} is another recipient");
            Ok(())
        });
        checks.check("age encrypts to a key of carstone keygen and decrypts with it", || {
            let plain = self.work.join("plain.txt");
            fs::write(&plain, "bedding\n")?;
            let sealed = self.work.join("plain.age");
            let mut age = Command::new("age");
            age.args(["-r", &carstone_key.recipient, "-o"]).arg(&sealed).arg(&plain);
            run(&mut age)?;
            let mut age = Command::new("age");
            let opened = run(age.arg("-d").arg("-i").arg(&carstone_key.file).arg(&sealed))?;
            ensure!(opened == b"bedding\n", "other bytes come out");
            Ok(())
        });
        checks.check("carstone create -r, extract -i: a key of age-keygen", || {
            let pack = self.create("age-r", |create| {
                create.args(["-r", &age_key.recipient]);
            })?;
            self.extracts(&pack, "-i", &age_key.file)
        });
        checks.check("carstone create -R: recipients of both programs, each opens", || {
            let list = self.work.join("recipients.txt");
            let lines = [&age_key.recipient, "# a remark", "", &carstone_key.recipient].join("\n");
            fs::write(&list, lines)?;
            let pack = self.create("age-R", |create| {
                create.arg("-R").arg(&list);
            })?;
            self.extracts(&pack, "-i", &age_key.file)?;
            self.extracts(&pack, "-i", &carstone_key.file)
        });
        checks.check("carstone refuses another key of age-keygen", || {
            let pack = self.create("other", |create| {
                create.args(["-r", &carstone_key.recipient]);
            })?;
            let mut list = self.tools.carstone("list");
            let output = list.arg("-i").arg(&age_key.file).arg(pack).output()?;
            ensure!(output.status.code() == Some(2), "it ended with {}", output.status);
            ensure!(output.stdout.is_empty(), "it listed names");
            Ok(())
        });
        checks.check("carstone opens an identity file that age -p has locked", || {
            let locked = self.work.join("locked.age");
            self.age_types(
                &[OsStr::new("-p"), OsStr::new("-o"), locked.as_ref(), age_key.file.as_ref()],
                2,
            )?;
            let pack = self.create("locked", |create| {
                create.args(["-r", &age_key.recipient]);
            })?;
            let out = self.work.join("locked-out");
            let arguments = ["extract", "-q", "-i"].map(OsStr::new);
            let rest = [locked.as_os_str(), OsStr::new("-C"), out.as_ref(), pack.as_ref()];
            let carstone = self.tools.carstone.to_str().context("a path is not UTF-8")?;
            typed(carstone, &[&arguments[..], &rest].concat(), &format!("{PASSPHRASE}\n"))?;
            self.is_right(&out)
        });
    }

    /// `program` is age or another that has its options.
    fn envelopes_of_carstone(&self, checks: &mut Checks, program: &str) {
        for key in [&self.age_key, &self.carstone_key] {
            let name = key.file.file_name().unwrap_or_default().display().to_string();
            checks.check(&format!("{program} -d -i opens an envelope of carstone: {name}"), || {
                let pack = self.create(&format!("{program}-{name}"), |create| {
                    create.args([
                        "-r",
                        &self.age_key.recipient,
                        "-r",
                        &self.carstone_key.recipient,
                    ]);
                })?;
                let sealed = Sealed::read(&fs::read(&pack)?)?;
                let envelope = self.work.join("envelope.age");
                fs::write(&envelope, &sealed.envelope)?;
                let mut open = Command::new(program);
                sealed.check_key(&run(open.arg("-d").arg("-i").arg(&key.file).arg(&envelope))?)
            });
        }
    }

    /// Packs whose envelope is made by age.
    fn envelopes_of_age(&self, checks: &mut Checks) {
        checks.check("carstone opens an envelope of age -r", || {
            let plain = self.plain_key("by-age-r")?;
            let envelope = plain.with_extension("age");
            let mut age = Command::new("age");
            age.args(["-r", &self.carstone_key.recipient, "-o"]).arg(&envelope).arg(&plain);
            run(&mut age)?;
            let pack = self.pack_under(&plain, &envelope)?;
            self.extracts(&pack, "-i", &self.carstone_key.file)
        });
        checks.check("carstone refuses an envelope of age with another key inside", || {
            let (plain, other) = (self.plain_key("right")?, self.plain_key("wrong")?);
            let envelope = other.with_extension("age");
            let mut age = Command::new("age");
            age.args(["-r", &self.age_key.recipient, "-o"]).arg(&envelope).arg(&other);
            run(&mut age)?;
            let pack = self.pack_under(&plain, &envelope)?;
            let mut list = self.tools.carstone("list");
            let output = list.arg("-i").arg(&self.age_key.file).arg(pack).output()?;
            ensure!(output.status.code() == Some(2), "it ended with {}", output.status);
            Ok(())
        });
    }

    /// Keys of OpenSSH, which age has as well.
    fn ssh_keys(&self, checks: &mut Checks) {
        if !has("ssh-keygen") {
            checks.skip("SSH keys", "ssh-keygen is not installed (apt-get install openssh-client)");
            return;
        }
        for (kind, bits) in [("ed25519", "256"), ("rsa", "2048")] {
            let ssh = self.work.join(format!("ssh-{kind}"));
            let public = ssh.with_extension("pub");
            checks.check(&format!("age -d -i opens an envelope of carstone -R: {kind}"), || {
                let mut keygen = Command::new("ssh-keygen");
                run(keygen.args(["-q", "-t", kind, "-b", bits, "-N", "", "-f"]).arg(&ssh))?;
                let pack = self.create(&format!("to-ssh-{kind}"), |create| {
                    create.arg("-R").arg(&public);
                })?;
                let sealed = Sealed::read(&fs::read(&pack)?)?;
                let envelope = self.work.join("ssh.age");
                fs::write(&envelope, &sealed.envelope)?;
                let mut age = Command::new("age");
                sealed.check_key(&run(age.arg("-d").arg("-i").arg(&ssh).arg(&envelope))?)?;
                self.extracts(&pack, "-i", &ssh)
            });
            checks.check(&format!("carstone opens an envelope of age to two, one {kind}"), || {
                let plain = self.plain_key(&format!("by-age-{kind}"))?;
                let envelope = plain.with_extension("age");
                let mut age = Command::new("age");
                age.arg("-R").arg(&public).args(["-r", &self.age_key.recipient]);
                run(age.arg("-o").arg(&envelope).arg(&plain))?;
                let pack = self.pack_under(&plain, &envelope)?;
                self.extracts(&pack, "-i", &ssh)?;
                self.extracts(&pack, "-i", &self.age_key.file)
            });
        }
    }

    /// Envelopes that a passphrase opens.
    fn passphrases(&self, checks: &mut Checks) {
        if !has("script") {
            checks.skip("passphrases", "age asks a terminal, which takes script (bsdutils)");
            return;
        }
        checks.check("age -d opens an envelope of carstone by passphrase", || {
            let pack = self.create("passphrase", |create| {
                create.arg("--passphrase-file").arg(&self.passphrase);
            })?;
            let sealed = Sealed::read(&fs::read(&pack)?)?;
            let envelope = self.work.join("passphrase.age");
            fs::write(&envelope, &sealed.envelope)?;
            let out = self.work.join("passphrase.key");
            self.age_types(
                &[OsStr::new("-d"), OsStr::new("-o"), out.as_ref(), envelope.as_ref()],
                1,
            )?;
            sealed.check_key(&fs::read(out)?)
        });
        checks.check("carstone opens an envelope of age -p", || {
            let plain = self.plain_key("by-age-p")?;
            let envelope = plain.with_extension("age");
            self.age_types(
                &[OsStr::new("-p"), OsStr::new("-o"), envelope.as_ref(), plain.as_ref()],
                2,
            )?;
            let pack = self.pack_under(&plain, &envelope)?;
            self.extracts(&pack, "--passphrase-file", &self.passphrase)
        });
    }

    /// Runs age, which asks for the passphrase so many times.
    fn age_types(&self, arguments: &[&OsStr], times: usize) -> anyhow::Result<()> {
        typed("age", arguments, &format!("{PASSPHRASE}\n").repeat(times))
    }

    /// A pack of the tree, encrypted as the options say.
    fn create(&self, name: &str, options: impl FnOnce(&mut Command)) -> anyhow::Result<PathBuf> {
        let pack = self.work.join(format!("{name}.cstone"));
        let mut create = self.tools.carstone("create");
        create.args(["-q", "--compress", "zstd:1", "-o"]).arg(&pack).arg(self.source);
        options(&mut create);
        run(&mut create)?;
        Ok(pack)
    }

    /// A new content key, as it stands in an envelope.
    fn plain_key(&self, name: &str) -> anyhow::Result<PathBuf> {
        use sha2::{Digest, Sha256};

        let path = self.work.join(format!("{name}.key"));
        let key = Sha256::digest(format!("{name} {}", self.age_key.recipient));
        fs::write(&path, [&[1][..], &key].concat())?;
        Ok(path)
    }

    fn pack_under(&self, plain: &Path, envelope: &Path) -> anyhow::Result<PathBuf> {
        let pack = plain.with_extension("cstone");
        let mut program = Command::new(&self.tools.foreign_envelope);
        run(program.args([plain, envelope, &pack, self.source]))?;
        Ok(pack)
    }

    /// The command opens the pack with what `option` gives, and restores the tree.
    fn extracts(&self, pack: &Path, option: &str, file: &Path) -> anyhow::Result<()> {
        let out = pack.with_extension("out");
        let mut extract = self.tools.carstone("extract");
        run(extract.arg("-q").arg(option).arg(file).arg("-C").arg(&out).arg(pack))?;
        self.is_right(&out)
    }

    fn is_right(&self, out: &Path) -> anyhow::Result<()> {
        compare(&self.tree, &snapshot(out)?, Compare::Everything)?;
        Ok(fs::remove_dir_all(out)?)
    }
}
