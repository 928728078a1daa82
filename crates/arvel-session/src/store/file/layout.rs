//! What is in a session's file: a header, and slots of growing size behind it.
//!
//! ```text
//! 0            16        2056       4096     8192     12288
//! header       slot 0    slot 1     slot 2   slot 3   slots 4 to 7, of 16 KiB each, and so on
//!
//! header: "arvel-session" 0 0 layout
//! slot:   sequence u64, length u32, checksum 16 bytes, then the record      (big endian)
//! ```
//!
//! The places never move, so a file never has to be rewritten to let a session grow. The checksum is SHA-256, cut to 16
//! bytes, over the session's key, the sequence, the length and the record.

use std::{fs::File, io, os::unix::fs::FileExt};

use bytes::Bytes;
use ring::digest::{Context, SHA256};

use super::Stop;
use crate::{
    Error, ErrorKind, Result,
    store::{Key, Record},
};

const HEADER: &[u8; 16] = b"arvel-session\0\0\x01";
/// The header's last byte: the version of this layout.
const LAYOUT_AT: usize = 15;
/// Length of a slot's head: sequence, length, checksum.
const HEAD: usize = 28;
const CHECKSUM_AT: usize = 12;
/// What one read fetches at first; also what a disk writes as a whole.
const BLOCK: usize = 4096;
/// A longer record is not handled on the executor's thread: it takes too long to read and to hash.
pub(super) const LONG: usize = 64 << 10;

/// Slots of one size.
struct Zone {
    start: u64,
    size: u64,
    slots: u64,
}

/// In the first two zones a slot lies within one block. From [`FAR`] on it does not.
const ZONES: [Zone; 6] = [
    Zone::new(HEADER.len() as u64, 2040, 2),
    Zone::new(4 << 10, 4 << 10, 2),
    Zone::new(12 << 10, 16 << 10, FAR_SLOTS),
    Zone::new(76 << 10, 128 << 10, FAR_SLOTS),
    Zone::new(588 << 10, 1 << 20, FAR_SLOTS),
    Zone::new(4684 << 10, 17 << 20, FAR_SLOTS),
];
const FAR: u64 = 12 << 10;
const FAR_SLOTS: u64 = 4;
const SLOTS: usize = 20;

impl Zone {
    const fn new(start: u64, size: u64, slots: u64) -> Self {
        Self { start, size, slots }
    }

    fn fits(&self, record: usize) -> bool {
        HEAD as u64 + record as u64 <= self.size
    }
}

/// Every slot, in the order of the file: the zone and where the slot begins.
fn places() -> impl Iterator<Item = (&'static Zone, u64)> {
    ZONES
        .iter()
        .flat_map(|zone| (0..zone.slots).map(move |slot| (zone, zone.start + slot * zone.size)))
}

/// What a slot says about itself; a sequence of 0 is an empty slot.
#[derive(Clone, Copy, Default)]
struct Head {
    sequence: u64,
    length: usize,
    checksum: [u8; 16],
}

impl Head {
    fn parse(bytes: &[u8; HEAD]) -> Self {
        let (sequence, rest) = bytes.split_at(8);
        let (length, checksum) = rest.split_at(4);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, &b| sum << 8 | u64::from(b));
        let mut head = Self {
            sequence: number(sequence),
            length: usize::try_from(number(length)).unwrap_or(usize::MAX),
            checksum: [0; 16],
        };
        head.checksum.copy_from_slice(checksum);
        head
    }
}

fn checksum(key: &Key, sequence_and_length: &[u8], record: &[u8]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    context.update(key.hash());
    context.update(sequence_and_length);
    context.update(record);
    let mut checksum = [0; 16];
    checksum.copy_from_slice(&context.finish().as_ref()[..16]);
    checksum
}

/// The record that counts.
pub(super) struct Newest {
    pub(super) record: Record,
    sequence: u64,
}

/// How a file is looked at.
#[derive(Clone, Copy)]
pub(super) struct View {
    /// Nobody can be writing, so what looks torn is torn.
    pub(super) locked: bool,
    /// A long record may be read now.
    pub(super) patient: bool,
}

/// The heads of all slots, and the first block.
pub(super) struct Image {
    block: [u8; BLOCK],
    filled: usize,
    heads: [Head; SLOTS],
}

impl Image {
    pub(super) fn read(file: &File) -> Result<Self, Stop> {
        let mut image = Self {
            block: [0; BLOCK],
            filled: 0,
            heads: [Head::default(); SLOTS],
        };
        image.filled = read_up_to(file, &mut image.block, 0)?;
        for (head, (_, start)) in image.heads.iter_mut().zip(places()) {
            let mut bytes = [0; HEAD];
            // Sequences stand at multiples of eight, where kernels copy eight bytes as one: they are not torn themselves.
            if let Some(near) = near(&image.block[..image.filled], start, HEAD) {
                bytes.copy_from_slice(near);
            } else if image.filled < BLOCK || read_up_to(file, &mut bytes, start)? < HEAD {
                break;
            }
            *head = Head::parse(&bytes);
        }
        Ok(image)
    }

    /// The valid record with the highest sequence.
    ///
    /// The highest sequence is looked at first, so a reader without the lock who finds it valid knows that it counted at
    /// some moment since he began. If it is not valid, a writer may be at work in it, and more may have happened
    /// meanwhile: only the lock can tell.
    pub(super) fn newest(
        &mut self,
        file: &File,
        key: &Key,
        view: View,
    ) -> Result<Option<Newest>, Stop> {
        // A file is made empty, then gets its header and its first record: until then there is nothing.
        if self.filled == 0 || (self.check_header()? && self.highest().is_none()) {
            return Ok(None);
        }
        while let Some((slot, head)) = self.highest() {
            if head.length > LONG && !view.patient {
                return Err(Stop::Busy);
            }
            if let Some(bytes) = self.fetch(file, key, slot, head)? {
                return Ok(Some(Newest {
                    record: Record::decode(bytes)?,
                    sequence: head.sequence,
                }));
            }
            if !view.locked {
                return Err(Stop::Torn);
            }
            self.heads[slot].sequence = 0;
        }
        Err(if view.locked { damaged() } else { Stop::Torn })
    }

    /// Whether the header is ours; an error when it is that of a later version.
    fn check_header(&self) -> Result<bool, Stop> {
        let header = &self.block[..HEADER.len()];
        if header == HEADER {
            return Ok(true);
        }
        if header[..LAYOUT_AT] == HEADER[..LAYOUT_AT] && header[LAYOUT_AT] > HEADER[LAYOUT_AT] {
            return Err(Stop::Failed(Error::new(
                ErrorKind::NewerFormat,
                "a session's file was written by a newer version of this library",
            )));
        }
        Ok(false)
    }

    fn highest(&self) -> Option<(usize, Head)> {
        let heads = self.heads.iter().copied().enumerate();
        heads
            .filter(|(_, head)| head.sequence > 0)
            .max_by_key(|(_, head)| head.sequence)
    }

    /// The record in this slot, if the checksum says that it is whole.
    fn fetch(
        &self,
        file: &File,
        key: &Key,
        slot: usize,
        head: Head,
    ) -> Result<Option<Bytes>, Stop> {
        let Some((zone, start)) = places().nth(slot) else {
            return Ok(None);
        };
        if !zone.fits(head.length) {
            return Ok(None);
        }
        let whole = HEAD + head.length;
        let bytes = if let Some(near) = near(&self.block[..self.filled], start, whole) {
            Bytes::copy_from_slice(near)
        } else {
            let mut bytes = vec![0; whole];
            let filled = read_up_to(file, &mut bytes, start)?;
            bytes.truncate(filled);
            Bytes::from(bytes)
        };
        let valid = bytes.len() == whole
            && checksum(key, &bytes[..CHECKSUM_AT], &bytes[HEAD..]) == head.checksum;
        Ok(valid.then(|| bytes.slice(HEAD..)))
    }

    /// Where and what to write so that `record` is the newest and `current` stays as it is.
    ///
    /// # Errors
    /// No place is large enough.
    pub(super) fn plan(
        &self,
        key: &Key,
        current: Option<&Newest>,
        record: &Record,
    ) -> Result<Plan> {
        let too_large = || Error::new(ErrorKind::TooLarge, "no place in a file is this large");
        let record = record.encode();
        let length = u32::try_from(record.len()).map_err(|_| too_large())?;
        let sequence = current.map_or(0, |newest| newest.sequence) + 1;
        let (_, (zone, start)) = places()
            .enumerate()
            .filter(|(_, (zone, _))| zone.fits(record.len()))
            // Within the smallest zone that fits, the slot that was written longest ago: never the current one.
            .min_by_key(|(slot, (zone, _))| (zone.size, self.heads[*slot].sequence))
            .ok_or_else(too_large)?;
        let mut bytes = Vec::with_capacity(HEADER.len() + HEAD + record.len());
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        let sum = checksum(key, &bytes, &record);
        bytes.extend_from_slice(&sum);
        bytes.extend_from_slice(&record);
        Ok(Plan {
            start,
            bytes,
            with_header: current.is_none(),
            // See the module's documentation: of four slots, three may be written between two of these.
            sync_first: (zone.start >= FAR || self.reaches_far())
                && sequence.is_multiple_of(FAR_SLOTS - 1),
        })
    }

    fn reaches_far(&self) -> bool {
        let near = places().take_while(|(zone, _)| zone.start < FAR).count();
        self.heads[near..].iter().any(|head| head.sequence > 0)
    }

    /// Empties every place but the one at `start`.
    ///
    /// Their heads alone: a place without a sequence is empty, and no other byte of it is looked at.
    pub(super) fn wipe_all_but(&self, file: &File, start: u64) -> io::Result<()> {
        let written = self.heads.iter().zip(places());
        let others = written.filter(|(head, (_, other))| head.sequence > 0 && *other != start);
        for (_, (_, other)) in others {
            file.write_all_at(&[0; HEAD], other)?;
        }
        Ok(())
    }
}

/// A write that was decided on.
pub(super) struct Plan {
    /// Where in the file.
    pub(super) start: u64,
    bytes: Vec<u8>,
    with_header: bool,
    /// What is there has to be on the disk before this is written.
    pub(super) sync_first: bool,
}

impl Plan {
    pub(super) fn execute(self, file: &File) -> io::Result<()> {
        if self.sync_first {
            file.sync_data()?;
        }
        if self.with_header {
            file.write_all_at(HEADER, 0)?;
        }
        file.write_all_at(&self.bytes, self.start)
    }
}

fn damaged() -> Stop {
    Stop::Failed(Error::new(
        ErrorKind::Corrupt,
        "a session's file is damaged",
    ))
}

fn near(block: &[u8], start: u64, length: usize) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    block.get(start..start.checked_add(length)?)
}

/// Reads until the buffer is full or the file ends.
fn read_up_to(file: &File, buffer: &mut [u8], start: u64) -> Result<usize, Stop> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Stop::Io("cannot read a session's file", error)),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Time,
        store::{Kind, Revision},
    };

    const LOCKED: View = View {
        locked: true,
        patient: true,
    };

    /// A file on a disk that writes blocks as a whole, but in no order, until it is told to sync.
    #[derive(Default)]
    struct Disk {
        file: Vec<u8>,
        /// Everything that the file has been since the last sync.
        past: Vec<Vec<u8>>,
    }

    impl Disk {
        fn write(&mut self, start: u64, bytes: &[u8]) {
            let start = usize::try_from(start).unwrap();
            let end = start + bytes.len();
            self.file.resize(self.file.len().max(end), 0);
            self.file[start..end].copy_from_slice(bytes);
            self.past.push(self.file.clone());
        }

        fn sync(&mut self) {
            self.past = vec![self.file.clone()];
        }

        /// What a crash now may leave: any length and any block that was there since the last sync.
        fn crash(&self, mut choose: impl FnMut(usize) -> usize) -> Vec<u8> {
            let mut left = vec![0; self.past[choose(self.past.len())].len()];
            for (index, block) in left.chunks_mut(BLOCK).enumerate() {
                let past = &self.past[choose(self.past.len())];
                let old = past.get(index * BLOCK..).unwrap_or_default();
                let length = old.len().min(block.len());
                block[..length].copy_from_slice(&old[..length]);
            }
            left
        }
    }

    fn newest_in(bytes: &[u8], key: &Key) -> (Image, Result<Option<Newest>, Stop>, File) {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let mut image = Image::read(&file).ok().unwrap();
        let newest = image.newest(&file, key, LOCKED);
        (image, newest, file)
    }

    #[test]
    fn a_crash_of_the_machine_leaves_the_last_synced_record_or_a_later_one() {
        let key = Key::new([0; 2], [7; 32]);
        let mut state = 1_u64;
        let mut choose = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..40 {
            let mut disk = Disk::default();
            let mut synced = None;
            let largest = [300, 3000, 16_000, 60_000][choose(4)];
            for revision in 1..30 {
                let (image, current, _) = newest_in(&disk.file, &key);
                let current = current.ok().unwrap();
                let body = vec![revision as u8; choose(largest)];
                let record = Record::new(
                    Kind::Sealed,
                    Revision::from_u64(revision),
                    Time::default(),
                    body,
                );
                let plan = image.plan(&key, current.as_ref(), &record).unwrap();
                if plan.sync_first {
                    disk.sync();
                    synced = Some(revision - 1);
                }
                if plan.with_header {
                    disk.write(0, HEADER);
                }
                disk.write(plan.start, &plan.bytes);
                if choose(8) == 0 {
                    disk.sync();
                    synced = Some(revision);
                }
                let (_, left, _) = newest_in(&disk.crash(&mut choose), &key);
                let left = left.ok().flatten().map(|newest| newest.record);
                assert!(left.as_ref().map(|record| record.revision.as_u64()) >= synced);
                let whole = |record: &Record| {
                    record
                        .body
                        .iter()
                        .all(|&b| u64::from(b) == record.revision.as_u64())
                };
                assert!(left.is_none_or(|record| whole(&record)));
            }
        }
    }

    #[test]
    fn no_two_places_overlap_and_the_largest_record_fits() {
        let ends = places().map(|(zone, start)| start + zone.size);
        assert!(
            places()
                .skip(1)
                .zip(ends)
                .all(|((_, start), end)| end <= start)
        );
        assert_eq!(places().count(), SLOTS);
        assert!(places().all(|(_, start)| start % 8 == 0));
        let block = BLOCK as u64;
        let near = places().filter(|(_, start)| *start < FAR);
        assert!(
            near.into_iter()
                .all(|(zone, start)| start / block == (start + zone.size - 1) / block)
        );
        assert!(ZONES[ZONES.len() - 1].fits(16 << 20));
    }
}
