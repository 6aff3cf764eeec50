//! Signatures: those of carstone are verified by `ssh-keygen`, those of `ssh-keygen` by carstone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::ensure;

use super::checks::Checks;
use super::tools::{Tools, has, run, run_on};

/// Runs all checks. The pack is one of whatever lies in `source`.
pub fn run_all(
    tools: &Tools,
    work: &Path,
    source: &Path,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    if !has("ssh-keygen") {
        checks.skip("ssh-keygen", "it is not installed (apt-get install openssh-client)");
        return Ok(());
    }
    let work = work.join("ssh-keygen");
    fs::create_dir(&work)?;
    let keys = [("ed25519", "255"), ("rsa", "2048"), ("rsa", "4096"), ("ecdsa", "256")];
    for (kind, bits) in keys {
        let pair = Pair::prepare(tools, &work, source, kind, bits)?;
        pair.ours(checks);
        pair.theirs(checks);
        pair.locked(checks);
    }
    lists(tools, &work, checks)
}

/// A key, and a pack to sign.
struct Pair<'a> {
    tools: &'a Tools,
    name: String,
    key: PathBuf,
    /// Allows the key for `alice@example.org`.
    list: PathBuf,
    pack: PathBuf,
    /// The same, with a byte changed.
    changed: PathBuf,
    passphrase: PathBuf,
}

const WHO: &str = "alice@example.org";
const PASSPHRASE: &str = "ripple marks";

impl<'a> Pair<'a> {
    fn prepare(
        tools: &'a Tools,
        work: &Path,
        source: &Path,
        kind: &str,
        bits: &str,
    ) -> anyhow::Result<Self> {
        let name = format!("{kind}-{bits}");
        let at = |end: &str| work.join(format!("{name}{end}"));
        let key = at("");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", kind, "-b", bits, "-N", "", "-C", WHO, "-f"]).arg(&key);
        run(&mut keygen)?;
        let (list, pack) = (at(".signers"), at(".cstone"));
        let public = fs::read_to_string(at(".pub"))?;
        fs::write(&list, format!("{WHO} namespaces=\"carstone\" {public}"))?;
        let mut create = tools.carstone("create");
        run(create.args(["-q", "--compress", "zstd:1", "-o"]).arg(&pack).arg(source))?;
        let mut stored = fs::read(&pack)?;
        let middle = stored.len() / 2;
        stored[middle] ^= 1;
        let changed = at(".changed.cstone");
        fs::write(&changed, stored)?;
        let passphrase = at(".passphrase");
        fs::write(&passphrase, PASSPHRASE)?;
        Ok(Self { tools, name, key, list, pack, changed, passphrase })
    }

    fn ours(&self, checks: &mut Checks) {
        let Self { name, pack, changed, .. } = self;
        let signature = pack.with_extension("cstone.sig");
        checks.check(&format!("ssh-keygen -Y verify: {name}, signed by carstone"), || {
            run(self.tools.carstone("sign").arg("-q").arg(pack).arg("-k").arg(&self.key))?;
            self.judge(&signature, pack)?;
            self.finds_principal(&signature)
        });
        checks.check(&format!("both refuse a changed pack: {name}, signed by carstone"), || {
            ensure!(self.judge(&signature, changed).is_err(), "ssh-keygen takes it");
            let output = self.verify(&signature, changed)?;
            ensure!(output.status.code() == Some(1), "carstone ended with {}", output.status);
            let told = String::from_utf8_lossy(&output.stdout);
            ensure!(told.contains("the signature is stale"), "{told}");
            Ok(())
        });
    }

    fn theirs(&self, checks: &mut Checks) {
        let Self { name, pack, changed, .. } = self;
        for hash in ["sha512", "sha256"] {
            let signature = pack.with_extension(format!("{hash}.sig"));
            checks.check(
                &format!("carstone verify --signer: {name} {hash}, signed by ssh-keygen"),
                || {
                    let mut sign = Command::new("ssh-keygen");
                    sign.args(["-q", "-Y", "sign", "-n", "carstone", "-O"]);
                    sign.arg(format!("hashalg={hash}")).arg("-f").arg(&self.key).arg("-");
                    fs::write(&signature, run_on(File::open(pack)?, &mut sign)?)?;
                    let output = self.verify(&signature, pack)?;
                    let told = String::from_utf8_lossy(&output.stdout);
                    ensure!(output.status.success(), "it ended with {}: {told}", output.status);
                    ensure!(told.contains(&format!("signed by {WHO} with ")), "{told}");
                    Ok(())
                },
            );
            checks.check(
                &format!("both refuse a changed pack: {name} {hash}, signed by ssh-keygen"),
                || {
                    ensure!(self.judge(&signature, changed).is_err(), "ssh-keygen takes it");
                    let output = self.verify(&signature, changed)?;
                    ensure!(
                        output.status.code() == Some(1),
                        "carstone ended with {}",
                        output.status
                    );
                    Ok(())
                },
            );
        }
    }

    /// The same key under a passphrase, in the file that `ssh-keygen` makes of it.
    fn locked(&self, checks: &mut Checks) {
        let Self { name, pack, .. } = self;
        checks.check(&format!("carstone sign: {name}, locked by ssh-keygen"), || {
            let mut lock = Command::new("ssh-keygen");
            run(lock.args(["-q", "-p", "-P", "", "-N", PASSPHRASE, "-f"]).arg(&self.key))?;
            let signature = pack.with_extension("locked.sig");
            let mut sign = self.tools.carstone("sign");
            sign.arg("-q").arg(pack).arg("-k").arg(&self.key).arg("-o").arg(&signature);
            run(sign.arg("--passphrase-file").arg(&self.passphrase))?;
            self.judge(&signature, pack)
        });
    }

    /// What `ssh-keygen` says of a signature.
    fn judge(&self, signature: &Path, pack: &Path) -> anyhow::Result<()> {
        let mut verify = Command::new("ssh-keygen");
        verify.args(["-q", "-Y", "verify", "-n", "carstone", "-I", WHO, "-f"]).arg(&self.list);
        run_on(File::open(pack)?, verify.arg("-s").arg(signature)).map(drop)
    }

    fn finds_principal(&self, signature: &Path) -> anyhow::Result<()> {
        let mut find = Command::new("ssh-keygen");
        find.args(["-Y", "find-principals", "-f"]).arg(&self.list).arg("-s").arg(signature);
        let found = run(&mut find)?;
        ensure!(found.trim_ascii() == WHO.as_bytes(), "another one");
        Ok(())
    }

    /// What carstone says of it.
    fn verify(&self, signature: &Path, pack: &Path) -> anyhow::Result<Output> {
        let mut verify = self.tools.carstone("verify");
        verify.arg(pack).arg("--signer").arg(&self.list).arg("--signature").arg(signature);
        Ok(verify.args(["--principal", WHO]).output()?)
    }
}

/// Lists, each of which lets the signature count in both programs or in neither. `KEY` is the key that signed.
const LISTS: &[(&str, bool)] = &[
    ("alice@example.org KEY", true),
    ("\t alice@example.org   KEY a comment", true),
    ("# a comment\n\nbob OTHER\nalice@example.org KEY", true),
    ("*@example.org KEY", true),
    ("alice?example.org KEY", true),
    ("bob,alice@example.org KEY", true),
    ("*,!alice@example.org KEY", false),
    ("!alice@example.org,* KEY", false),
    ("bob KEY", false),
    ("ALICE@example.org KEY", false),
    ("alice@example.org OTHER", false),
    ("\"alice@example.org\" KEY", true),
    ("alice@example.org namespaces=\"carstone\" KEY", true),
    ("alice@example.org namespaces=\"git,car*\" KEY", true),
    ("alice@example.org NAMESPACES=\"carstone\" KEY", true),
    ("alice@example.org namespaces=\"x\\\"y,carstone\" KEY", true),
    ("alice@example.org namespaces=\"git\" KEY", false),
    ("alice@example.org namespaces=\"*,!carstone\" KEY", false),
    ("alice@example.org namespaces=carstone KEY", false),
    ("alice@example.org namespaces=\"carstone KEY", false),
    ("alice@example.org namespaces=\"carstone\\\\\" KEY", false),
    ("alice@example.org valid-after=\"20200101\" KEY", true),
    ("alice@example.org valid-after=\"20200101000000Z\",valid-before=\"29990101\" KEY", true),
    ("alice@example.org valid-before=\"202001010000\" KEY", false),
    ("alice@example.org valid-after=\"29990101Z\" KEY", false),
    ("alice@example.org valid-before=\"tomorrow\" KEY", false),
    ("alice@example.org valid-after=\"20210101\",valid-before=\"20200101\" KEY", false),
    ("alice@example.org cert-authority KEY", false),
    ("alice@example.org no-such KEY", false),
    ("alice@example.org", false),
    ("", false),
];

fn lists(tools: &Tools, work: &Path, checks: &mut Checks) -> anyhow::Result<()> {
    let (pack, list) = (work.join("ed25519-255.cstone"), work.join("list"));
    let signature = work.join("ed25519-255.cstone.sig");
    let word = |name: &str| -> anyhow::Result<String> {
        let public = fs::read_to_string(work.join(name))?;
        Ok(public.split(' ').take(2).collect::<Vec<_>>().join(" "))
    };
    let (key, other) = (word("ed25519-255.pub")?, word("ecdsa-256.pub")?);
    for (text, counts) in LISTS {
        checks.check(&format!("both agree on a list: {text:?}"), || {
            let lines = text.replace("KEY", &key).replace("OTHER", &other);
            fs::write(&list, format!("{lines}\n"))?;
            let mut theirs = Command::new("ssh-keygen");
            theirs.args(["-q", "-Y", "verify", "-n", "carstone", "-I", WHO, "-f"]).arg(&list);
            let theirs = theirs.arg("-s").arg(&signature).stdin(File::open(&pack)?).output()?;
            let mut ours = tools.carstone("verify");
            ours.arg(&pack).arg("--signer").arg(&list).args(["--principal", WHO]);
            let ours = ours.output()?;
            let (theirs, ours) = (theirs.status, ours.status);
            ensure!(theirs.success() == *counts, "ssh-keygen ended with {theirs}");
            ensure!(ours.success() == *counts, "carstone ended with {ours}");
            ensure!(ours.code().is_some_and(|code| code <= 2), "carstone ended with {ours}");
            Ok(())
        });
    }
    Ok(())
}
