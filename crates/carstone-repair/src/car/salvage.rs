//! Reads a damaged CAR from front to back.

use std::io::{self, Read};

use carstone_car::{Limits, Section, SectionHead};

use super::item::{CarFault, CarGap, CarItem};
use super::search::{BlockSearch, Judged};
use super::stops::Stops;

/// Reads a CARv1, or the payload of a CARv2, that may be damaged: what is intact comes out, and what is not is told.
///
/// Behind damage the next section is found by its content: a length and a CID that can be read, and data that hashes to the CID. Where the
/// header is lost too, the blocks are found all the same.
///
/// ```
/// use carstone_car::{CarWriter, codec};
/// use carstone_repair::{CarItem, CarSalvage};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// for data in [b"sand", b"silt", b"clay"] {
///     writer.write_data(codec::RAW, data)?;
/// }
/// let mut bytes = writer.finish()?;
/// bytes.remove(70); // In the section of `silt`.
///
/// let (mut salvage, mut kept) = (CarSalvage::new(&bytes[..]), Vec::new());
/// while let Some(item) = salvage.next()? {
///     if let CarItem::Block { data, .. } = item {
///         kept.push(data);
///     }
/// }
/// assert_eq!(kept, [b"sand", b"clay"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct CarSalvage<R> {
    search: BlockSearch<R>,
    limits: Limits,
    is_begun: bool,
    /// What stands here, if that is known already.
    known: Option<Judged>,
}

impl<R: Read> CarSalvage<R> {
    /// The CAR starts where `inner` stands.
    pub fn new(inner: R) -> Self {
        Self::with_limits(inner, Limits::default())
    }

    /// The same with other limits: larger sections count as damage.
    pub fn with_limits(inner: R, limits: Limits) -> Self {
        let search = BlockSearch::new(inner, limits);
        Self { search, limits, is_begun: false, known: None }
    }

    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// Only what the source gives.
    #[expect(clippy::should_implement_trait, reason = "it can fail, as `Iterator::next` cannot")]
    pub fn next(&mut self) -> io::Result<Option<CarItem>> {
        if !std::mem::replace(&mut self.is_begun, true) && !self.search.ahead(1)?.is_empty() {
            return match self.search.header()? {
                Some((header, len)) => {
                    self.search.skip(len)?;
                    Ok(Some(CarItem::Header { header, len }))
                }
                None => self.begin_without_header().map(Some),
            };
        }
        let judged = match self.known.take() {
            Some(judged) => judged,
            None => self.search.judge(true)?,
        };
        let fault = match judged {
            Judged::Block(head) => return self.block(&head).map(Some),
            Judged::Mismatch(head) => {
                let fault = CarFault::Mismatch(Box::new(head.cid));
                // What stands inside of it is content.
                return match self.is_followed(head.len())? {
                    true => self.pass_over(&head, fault).map(Some),
                    false => self.lose(fault, Some(head.len() as u64)).map(Some),
                };
            }
            Judged::Unverifiable(head) => {
                let fault = CarFault::Unverifiable(Box::new(head.cid));
                return match self.leads_on(&head)? {
                    true => self.pass_over(&head, fault).map(Some),
                    false => self.lose(fault, None).map(Some),
                };
            }
            Judged::Truncated(_) => CarFault::Truncated,
            Judged::Unaffordable => CarFault::Unaffordable,
            Judged::Nothing => CarFault::NoSection,
        };
        match self.search.ahead(1)?.is_empty() {
            true => Ok(None),
            false => self.lose(fault, None).map(Some),
        }
    }

    /// Offset of the next part.
    pub fn position(&self) -> u64 {
        self.search.at()
    }

    /// Bytes hashed so far: at most three for each byte [read](Self::taken), and two of the largest sections more.
    pub fn hashed(&self) -> u64 {
        self.search.hashed()
    }

    /// Bytes read so far.
    pub fn taken(&self) -> u64 {
        self.search.taken()
    }

    fn block(&mut self, head: &SectionHead) -> io::Result<CarItem> {
        let offset = self.search.at();
        let section = Section {
            cid: head.cid,
            offset,
            data_offset: offset.saturating_add(head.head_len as u64),
            data_len: head.data_len,
        };
        let bytes = self.search.ahead(head.len())?;
        let data = bytes.get(head.head_len..head.len()).unwrap_or_default().to_vec();
        self.search.skip(head.len() as u64)?;
        Ok(CarItem::Block { section, data })
    }

    /// The gap in front where there is no header. It is empty where a section begins at once.
    fn begin_without_header(&mut self) -> io::Result<CarItem> {
        match self.search.judge(false)? {
            Judged::Block(head) => {
                self.known = Some(Judged::Block(head));
                Ok(CarItem::Gap(CarGap::new(0..0, CarFault::Header)))
            }
            _ => self.lose(CarFault::Header, None),
        }
    }

    /// A gap from here to the next block, or to `stated`, where a section is said to end, if another one seems to begin there.
    fn lose(&mut self, mut fault: CarFault, stated: Option<u64>) -> io::Result<CarItem> {
        let from = self.search.at();
        self.search.skip(1)?;
        loop {
            let passed = self.search.pass_to(&Stops::SECTIONS)?;
            if passed.is_unaffordable && fault != CarFault::Header {
                fault = CarFault::Unaffordable;
            }
            if !passed.is_found {
                break;
            }
            match self.search.judge(false)? {
                Judged::Block(head) => {
                    self.known = Some(Judged::Block(head));
                    if fault == CarFault::Truncated {
                        fault = CarFault::NoSection;
                    }
                    break;
                }
                Judged::Mismatch(head) if stated == Some(self.search.at() - from) => {
                    self.known = Some(Judged::Mismatch(head));
                    break;
                }
                Judged::Unaffordable if fault != CarFault::Header => {
                    fault = CarFault::Unaffordable;
                }
                _ => {}
            }
            self.search.skip(1)?;
        }
        Ok(CarItem::Gap(CarGap::new(from..self.search.at(), fault)))
    }

    /// Whether a good block begins `passed` bytes further on, or the stream ends there.
    fn is_followed(&mut self, passed: usize) -> io::Result<bool> {
        if self.search.ahead(passed.saturating_add(1))?.len() <= passed {
            return Ok(true);
        }
        Ok(matches!(self.search.judge_behind(passed, true)?, Judged::Block(_)))
    }

    /// Passes over a section whose data cannot be used.
    fn pass_over(&mut self, head: &SectionHead, fault: CarFault) -> io::Result<CarItem> {
        let from = self.search.at();
        self.search.skip(head.len() as u64)?;
        Ok(CarItem::Gap(CarGap::new(from..self.search.at(), fault)))
    }

    /// Whether a section that nobody can verify ends where the stream does, or a section of a known hash or the same one begins.
    fn leads_on(&mut self, head: &SectionHead) -> io::Result<bool> {
        let limits = self.limits;
        let bytes = self.search.ahead(head.len().saturating_add(LONGEST_HEAD))?;
        let rest = bytes.get(head.len()..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(true);
        }
        let next = carstone_car::parse_section(rest, &limits);
        Ok(next.is_ok_and(|next| {
            let (hash, own) = (next.cid.hash(), head.cid.hash());
            let is_same = (hash.code(), hash.size()) == (own.code(), own.size());
            is_same || carstone_car::digest_len(hash.code()) == Some(usize::from(hash.size()))
        }))
    }
}

/// More than the head of any section has.
const LONGEST_HEAD: usize = 128;
