//! Examples and exit statuses, for help and man pages.

/// What each page of the manual says of exit statuses: number and meaning.
pub(crate) const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "All that was looked at is there, and as it should be."),
    (
        "1",
        "Done, but something is damaged, lost, different, or could not be read. That goes for damage that was put right on the way, too: \
         nothing is missing then, and the file should be repaired.",
    ),
    ("2", "It could not be done."),
    ("130", "A signal interrupted it."),
];

pub(super) const EXAMPLES: &str = "\
Examples:
  carstone create -o docs.cstone docs/            pack a directory
  carstone list -l docs.cstone                    list it with sizes and SHA-256
  carstone cat docs.cstone guide/intro.md         read one file
  carstone extract -C restored docs.cstone        restore everything
  carstone keygen -o key.txt                      make a key
  carstone create -o - -r age1... docs | ssh host 'cat > docs.cstone'
                                                  encrypt into a pipe
  carstone verify -i key.txt docs.cstone          check every byte

Exit status: 0 all is there, and as it should be; 1 done, but something is damaged (even if it was
put right on the way), lost, different or unreadable; 2 it could not be done; 130 interrupted.";
pub(super) const CREATE_EXAMPLES: &str = "\
Examples:
  carstone create -o docs.cstone docs
  carstone create -o backup.cstone -C /home/me -R readers.txt --exclude '*.o' src notes.txt
  carstone create -n --exclude '*.o' src          what would be packed
  carstone create -o fast.cstone --compress zstd:3 data
  carstone create -o disks.cstone --chunker fastcdc:64K images
  carstone create -o release.cstone --reproducible dist
  carstone create -o old.cstone --parity 10% photos
                                                  and old.cstone.par, to repair it with
  carstone create -o site.car public              a plain CARv2, with an index
  carstone create -o old.car --car-version 1 --profile unixfs-v0-2015 public
  find . -name '*.rs' -print0 | carstone create -o rust.cstone -T - --null
  pg_dump shop | carstone create -o shop.cstone --stdin-name shop.sql

When the output is a file, the CID of the root directory is printed.";
pub(super) const LIST_EXAMPLES: &str = "\
Examples:
  carstone list docs.cstone
  carstone list -l docs.cstone 'guide/*.md' images
  curl -s https://example.org/docs.cstone | carstone list -";
pub(super) const EXTRACT_EXAMPLES: &str = "\
Examples:
  carstone extract -C restored docs.cstone
  carstone extract -i key.txt docs.cstone guide 'images/*.png'
  carstone create -o - docs | carstone extract -C copy -";
pub(super) const CAT_EXAMPLES: &str = "\
Examples:
  carstone cat docs.cstone guide/intro.md
  carstone cat --range 0-511 disk.cstone image.raw
  carstone cat --range -1000 logs.cstone server.log";
pub(super) const INFO_EXAMPLES: &str = "\
Examples:
  carstone info docs.cstone
  carstone info --json -i key.txt backup.cstone
  carstone info site.car";
pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  carstone verify docs.cstone
  carstone verify -i key.txt backup.cstone
  carstone verify site.car                        its blocks, its files, and its index
  carstone verify photo.jpg                       by the parity in photo.jpg.par
  carstone verify docs.cstone --against docs
  carstone verify docs.cstone --signer allowed_signers
  carstone verify docs.cstone --signer allowed_signers --principal me@example.org";
pub(super) const SIGN_EXAMPLES: &str = "\
Examples:
  carstone sign docs.cstone -k ~/.ssh/id_ed25519  makes docs.cstone.sig
  carstone verify docs.cstone --signer allowed_signers
  ssh-keygen -Y verify -n carstone -f allowed_signers -I me@example.org \\
    -s docs.cstone.sig < docs.cstone              the same without carstone";
pub(super) const REKEY_EXAMPLES: &str = "\
Examples:
  carstone rekey -i key.txt docs.cstone -o shared.cstone -R readers.txt
  carstone rekey -i key.txt docs.cstone -o docs.cstone --force -r age1...
  carstone rekey -i key.txt docs.cstone -o locked.cstone -p
  carstone rekey --old-passphrase locked.cstone -o open.cstone -r age1...
  carstone rekey --fresh -i key.txt docs.cstone -o new.cstone -r age1...
                                                  who is left out now cannot use what they kept";
pub(super) const REPAIR_EXAMPLES: &str = "\
Examples:
  carstone repair damaged.cstone -o mended.cstone
  carstone repair -n damaged.cstone               what could be mended
  carstone repair -i key.txt damaged.cstone -o clean.cstone
  carstone repair photo.jpg -o healed.jpg         by the parity in photo.jpg.par
  carstone repair --keep-partial damaged.cstone -o clean.cstone
  carstone repair damaged.car -o clean.car        all good blocks of a plain CAR
  ssh host 'cat old.cstone' | carstone repair - -o old.cstone";
pub(super) const PROTECT_EXAMPLES: &str = "\
Examples:
  carstone protect docs.cstone                    makes docs.cstone.par
  carstone protect --parity 5% photos video.mp4   and one for each file below photos
  carstone protect disk.img -o /elsewhere/disk.img.par
  carstone verify docs.cstone                     can it be healed?
  carstone repair docs.cstone -o healed.cstone    heals it";
pub(super) const SCRUB_EXAMPLES: &str = "\
Examples:
  carstone scrub /backup                          what is damaged, and can it be healed?
  carstone scrub --heal /backup                   heals it, and keeps the damaged files
  carstone scrub --resume /var/tmp/scrub --json /backup";
pub(super) const CARVE_EXAMPLES: &str = "\
Examples:
  carstone carve disk.img -C found
  carstone carve -n /dev/sdb1                     what is there
  carstone verify found/0001-*.cstone             what is missing in one of them";
pub(super) const CAR_EXAMPLES: &str = "\
Examples:
  carstone car create -o site.car public
  carstone car list site.car                      the CID of each block
  carstone car inspect --full site.car
  carstone car get-dag site.car bafy... -o part.car
  carstone car filter site.car --cid-file cids.txt --inverse -o rest.car
  carstone car merge a.car b.car -o both.car
  carstone car split site.car --size 100M -C parts
  carstone car wrap old.car -o indexed.car
  carstone car import -r age1... site.car -o site.cstone
  carstone car export -i key.txt site.cstone docs -o docs.car
  carstone car debug x.car -o x.txt               as text, to be edited
  carstone car compile x.txt -o new.car           and back";
pub(super) const KEYGEN_EXAMPLES: &str = "\
Examples:
  carstone keygen -o key.txt
  carstone keygen --pq -o key.txt                 one that withstands quantum computers
  carstone keygen | age -p -o key.age             a key under a passphrase";
pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  carstone completions bash > /etc/bash_completion.d/carstone
  carstone completions zsh > ~/.zfunc/_carstone";
pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  carstone man --out /usr/local/share/man/man1
  carstone man && man -l man/carstone-create.1";
pub(super) const HPPR_EXAMPLES: &str = "\
Examples:
  carstone hppr init                                  in ./hppr, or CARSTONE_HPPR
  carstone hppr keygen -o key.txt
  carstone hppr add -k key.txt //my-group/notes/2026/first note.txt
  carstone hppr get -d //my-group/notes/2026/first    its data
  carstone hppr ls //my-group/notes/2026/
  carstone hppr tips //my-group/                      the latest of everything
  carstone hppr --json watch //my-group/              and what comes later
  carstone hppr check
  carstone hppr export -o all.hppr";

pub(super) const STORE_EXAMPLES: &str = "\
Examples:
  carstone store init                             in ./carstone-store, or CARSTONE_STORE
  carstone store put photos/ video.mp4            prints a root for each
  carstone store ls                               the roots
  carstone store cat bafy.../2024/beach.jpg > beach.jpg
  carstone store get bafkr... -o video.mp4
  carstone store dump bafy... -o photos.car       the whole DAG, for IPFS tools
  carstone store publish                          for whoever reads it over HTTP
  carstone store --store https://host/store ls";
