//! How the record of a link is stored: packed where that makes it shorter. What is chained, proved
//! and exported is always the record itself; how it was packed says nothing.
//!
//! Events of one moment are much alike. Packed (LZ4), 256 of them take a fraction of their 64 KiB,
//! and what is not written needs no page of the log, no checksum and no copy into the database.

/// What a packed record begins with; a plain one is JSON, which never does.
const PACKED: u8 = 1;
/// Behind it: how long the record is, little-endian.
const LENGTH_BYTES: usize = 4;
/// The shortest record that is packed: one event gains little.
const WORTH_IT: usize = 1_024;
/// The longest that is packed or unpacked, so that no forged length takes memory. A record has 64 KiB,
/// or one event; one that is longer still is stored as it is.
const RECORD_MAX: usize = 128 * 1024;

/// A record, whichever way it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record(Vec<u8>);

impl Record {
    /// A record that is plain.
    pub fn plain(bytes: &[u8]) -> Record {
        Record(bytes.to_vec())
    }

    /// Its bytes, as they are chained.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Record {
    /// As it was stored. What cannot be unpacked stays as it is, and is not what was chained.
    fn from(stored: Vec<u8>) -> Record {
        Record(unpacked(&stored).unwrap_or(stored))
    }
}

/// Adds a record to `stored`, packed if that is shorter.
pub(super) fn pack(record: &[u8], stored: &mut Vec<u8>) {
    if let Some(packed) = packed(record) {
        stored.push(PACKED);
        stored.extend_from_slice(&packed.length);
        stored.extend_from_slice(&packed.block);
    } else {
        stored.extend_from_slice(record);
    }
}

struct Packed {
    length: [u8; LENGTH_BYTES],
    block: Vec<u8>,
}

fn packed(record: &[u8]) -> Option<Packed> {
    if !(WORTH_IT..=RECORD_MAX).contains(&record.len()) {
        return None;
    }
    let length = u32::try_from(record.len()).ok()?.to_le_bytes();
    let block = lz4_flex::block::compress(record);
    (block.len() < record.len()).then_some(Packed { length, block })
}

fn unpacked(stored: &[u8]) -> Option<Vec<u8>> {
    let (&PACKED, rest) = stored.split_first()? else { return None };
    let (length, block) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length > RECORD_MAX {
        return None;
    }
    lz4_flex::block::decompress(block, length).ok()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn stored(record: &[u8]) -> Vec<u8> {
        let mut stored = b"before".to_vec();
        pack(record, &mut stored);
        stored.split_off(b"before".len())
    }

    #[test]
    fn what_is_alike_is_stored_shorter() {
        let record =
            format!("[{}]", vec![r#"{"kind":"decision","outcome":"granted"}"#; 256].join(","));
        let stored = stored(record.as_bytes());
        assert!(stored.len() * 8 < record.len(), "{} of {}", stored.len(), record.len());
        assert_eq!(Record::from(stored).bytes(), record.as_bytes());
    }

    #[test]
    fn one_event_is_stored_as_it_is() {
        let record = br#"[{"kind":"decision"}]"#;
        assert_eq!(stored(record), record);
    }

    #[test]
    fn a_forged_length_takes_no_memory() {
        let mut forged = stored(&vec![b'['; 4_096]);
        assert_eq!(forged.first(), Some(&PACKED));
        for byte in forged.iter_mut().skip(1).take(LENGTH_BYTES) {
            *byte = 0xff;
        }
        assert_eq!(Record::from(forged.clone()).bytes(), forged);
    }

    proptest! {
        #[test]
        fn every_record_comes_back(alphabet in 1_u8.., bytes in vec(any::<u8>(), 0..4_096)) {
            let few = bytes.iter().map(|byte| byte.checked_rem(alphabet).unwrap_or(0));
            let record: Vec<u8> = std::iter::once(b'[').chain(few).collect();
            prop_assert_eq!(Record::from(stored(&record)), Record::plain(&record));
        }

        #[test]
        fn whatever_stands_there_can_be_read(bytes in vec(any::<u8>(), 0..256)) {
            let mut stored = vec![PACKED];
            stored.extend(bytes);
            prop_assert!(Record::from(stored).bytes().len() <= RECORD_MAX);
        }
    }
}
