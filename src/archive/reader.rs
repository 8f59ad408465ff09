//! Reading an archive, element by element, as its bytes arrive.

use prost::Message;
use sotto_proto::device_sync as proto;
use zeroize::Zeroizing;

use super::frame::FrameReader;
use super::seal::{ElementSeal, NONCE_BYTES, TAG_BYTES};
use super::{
    ArchiveError, ArchiveKey, ArchiveMetadata, ArchivedConversation, ArchivedMessage,
    ConsentRecord, Unusable,
};

/// The only version of the format.
pub(super) const VERSION: u16 = 0;
/// The bytes before the zstd frame: a version and the first nonce.
const HEADER_BYTES: usize = 2 + NONCE_BYTES;
/// The most bytes that a sealed element has.
pub(super) const MAX_ELEMENT_BYTES: usize = 16 << 20;

/// An element of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// What the archive says of itself. Always the first.
    Metadata(ArchiveMetadata),
    /// A conversation.
    Conversation(Box<ArchivedConversation>),
    /// A message.
    Message(ArchivedMessage),
    /// A consent record.
    Consent(ConsentRecord),
    /// Meant as the last element of an archive that sotto wrote.
    End {
        /// The inbox that made the archive.
        inbox_id: String,
        /// How many elements stand before this one.
        element_count: u64,
    },
    /// Something that cannot be imported.
    Unusable(Unusable),
    /// Something that readers pass over: nothing, or something newer.
    Other,
}

/// Reads the elements of an archive from chunks of bytes.
///
/// Push bytes, take elements until there are none, and push again; at the end of the file,
/// [`ArchiveReader::finish`]. After an error there is nothing more to read.
pub struct ArchiveReader {
    key: ArchiveKey,
    header: Vec<u8>,
    frame: FrameReader,
    seal: Option<ElementSeal>,
    /// What the frame has given and no element has taken, from `taken` on.
    stream: Vec<u8>,
    taken: usize,
    bytes_read: u64,
    elements_read: u64,
    failed: Option<ArchiveError>,
}

impl ArchiveReader {
    /// Ready for the first byte.
    #[must_use]
    pub fn new(key: ArchiveKey) -> Self {
        Self {
            key,
            header: Vec::with_capacity(HEADER_BYTES),
            frame: FrameReader::new(),
            seal: None,
            stream: Vec::new(),
            taken: 0,
            bytes_read: 0,
            elements_read: 0,
            failed: None,
        }
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`ArchiveError::UnsupportedVersion`], [`ArchiveError::Corrupt`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.guarded(|reader| reader.push_unguarded(bytes))
    }

    /// The next element that has arrived whole, if there is one.
    ///
    /// # Errors
    /// [`ArchiveError::WrongKey`] at the first element, [`ArchiveError::Corrupt`].
    pub fn next_element(&mut self) -> Result<Option<Element>, ArchiveError> {
        self.guarded(Self::next_unguarded)
    }

    /// To be called at the end of the file, when all elements are taken.
    ///
    /// # Errors
    /// [`ArchiveError::Truncated`]; [`ArchiveError::Corrupt`] if there was no element at all.
    pub fn finish(&mut self) -> Result<(), ArchiveError> {
        self.guarded(|reader| {
            if !reader.frame.is_finished() || reader.taken < reader.stream.len() {
                Err(ArchiveError::Truncated)
            } else if reader.elements_read == 0 {
                Err(ArchiveError::Corrupt("no elements"))
            } else {
                Ok(())
            }
        })
    }

    /// How many bytes of the file have been taken.
    #[must_use]
    pub const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// How many elements have been given.
    #[must_use]
    pub const fn elements_read(&self) -> u64 {
        self.elements_read
    }

    /// The first nonce, which no other archive has, once it has arrived.
    pub(super) fn first_nonce(&self) -> Option<[u8; NONCE_BYTES]> {
        self.header
            .last_chunk()
            .copied()
            .filter(|_| self.header.len() == HEADER_BYTES)
    }

    fn guarded<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        run(self).inspect_err(|error| self.failed = Some(*error))
    }

    fn push_unguarded(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.bytes_read = self.bytes_read.saturating_add(bytes.len() as u64);
        let missing = HEADER_BYTES.saturating_sub(self.header.len());
        let (header, frame) = bytes.split_at(missing.min(bytes.len()));
        self.header.extend_from_slice(header);
        if let [low, high, ..] = self.header.as_slice() {
            let version = u16::from_le_bytes([*low, *high]);
            if version != VERSION {
                return Err(ArchiveError::UnsupportedVersion(version));
            }
        }
        self.frame.push(frame, &mut self.stream)
    }

    fn next_unguarded(&mut self) -> Result<Option<Element>, ArchiveError> {
        let Some(plaintext) = self.next_plaintext()? else {
            return Ok(None);
        };
        let element = proto::BackupElement::decode(plaintext.as_slice())
            .map_err(|_| ArchiveError::Corrupt("an element is not protobuf"))?;
        let element = Element::from(element);
        if self.elements_read == 0 && !matches!(element, Element::Metadata(_)) {
            return Err(ArchiveError::Corrupt("the first element is not metadata"));
        }
        self.elements_read += 1;
        Ok(Some(element))
    }

    /// Opens the next sealed element of the stream.
    fn next_plaintext(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, ArchiveError> {
        let rest = self.stream.get(self.taken..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk() else {
            self.drop_taken();
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if !(TAG_BYTES..=MAX_ELEMENT_BYTES).contains(&length) {
            return Err(ArchiveError::Corrupt("length of an element"));
        }
        let Some(sealed) = rest.get(..length) else {
            self.drop_taken();
            return Ok(None);
        };
        let Some(first_nonce) = self.first_nonce() else {
            return Ok(None);
        };
        let plaintext = self
            .seal
            .get_or_insert_with(|| ElementSeal::new(&self.key, first_nonce))
            .open(sealed)
            .ok_or(match self.elements_read {
                0 => ArchiveError::WrongKey,
                _ => ArchiveError::Corrupt("an element does not open"),
            })?;
        self.taken += 4 + length;
        Ok(Some(plaintext))
    }

    /// Forgets the part of the stream that elements have taken.
    fn drop_taken(&mut self) {
        self.stream.drain(..self.taken.min(self.stream.len()));
        self.taken = 0;
    }
}

impl From<proto::BackupElement> for Element {
    fn from(element: proto::BackupElement) -> Self {
        use proto::backup_element::Element as Wire;
        let usable = match element.element {
            Some(Wire::Metadata(metadata)) => Ok(Self::Metadata(ArchiveMetadata::from_wire(
                VERSION, metadata,
            ))),
            Some(Wire::Group(group)) => ArchivedConversation::from_wire(group)
                .map(Box::new)
                .map(Self::Conversation),
            Some(Wire::GroupMessage(message)) => {
                ArchivedMessage::from_wire(message).map(Self::Message)
            }
            Some(Wire::Consent(consent)) => ConsentRecord::from_wire(&consent).map(Self::Consent),
            Some(Wire::ArchiveEnd(end)) => Ok(Self::End {
                inbox_id: end.inbox_id,
                element_count: end.element_count,
            }),
            None => Ok(Self::Other),
        };
        usable.unwrap_or_else(Self::Unusable)
    }
}
