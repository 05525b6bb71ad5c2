//! Framing on the control sockets: one JSON document a line, one answer for each request, in order.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest document, in bytes. A longer one is refused and the connection closed.
pub const MAX_DOCUMENT_BYTES: u64 = 64 << 20;

/// Sends one request on a fresh connection and waits for its answer.
///
/// # Errors
/// The daemon does not listen, does not answer within `timeout`, or answers something that is no `Response`.
pub fn call<Request, Response>(socket: &Path, request: &Request, timeout: Duration) -> io::Result<Response>
where
    Request: Serialize,
    Response: DeserializeOwned,
{
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write_document(&mut &stream, request)?;
    read_document(&mut BufReader::new(&stream))?
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon closed without an answer"))
}

/// Writes one document and its newline.
///
/// # Errors
/// The stream's own, or a document that is not representable or longer than [`MAX_DOCUMENT_BYTES`].
pub fn write_document<T: Serialize>(stream: &mut impl Write, document: &T) -> io::Result<()> {
    let mut text = serde_json::to_vec(document).map_err(io::Error::other)?;
    if text.len() as u64 >= MAX_DOCUMENT_BYTES {
        return Err(too_long());
    }
    text.push(b'\n');
    stream.write_all(&text)?;
    stream.flush()
}

/// Reads one document; `None` when the peer closed between two documents.
///
/// # Errors
/// The stream's own, or a document that is no `T`, is cut off, or is longer than [`MAX_DOCUMENT_BYTES`].
pub fn read_document<T: DeserializeOwned>(stream: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    stream.by_ref().take(MAX_DOCUMENT_BYTES).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(if line.len() as u64 == MAX_DOCUMENT_BYTES {
            too_long()
        } else {
            io::Error::new(io::ErrorKind::UnexpectedEof, "a document was cut off")
        });
    }
    serde_json::from_slice(&line).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a document is longer than {MAX_DOCUMENT_BYTES} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::{read_document, write_document};
    use crate::net::{NetRequest, NetResponse};

    #[test]
    fn documents_survive_the_wire() {
        let mut wire = Vec::new();
        write_document(&mut wire, &NetRequest::Status).unwrap();
        write_document(&mut wire, &NetResponse::Applied { generation: 7 }).unwrap();
        let mut reader = wire.as_slice();
        assert_eq!(read_document::<NetRequest>(&mut reader).unwrap(), Some(NetRequest::Status));
        assert_eq!(
            read_document::<NetResponse>(&mut reader).unwrap(),
            Some(NetResponse::Applied { generation: 7 })
        );
        assert_eq!(read_document::<NetResponse>(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_cut_document_is_an_error() {
        assert!(read_document::<NetRequest>(&mut b"{\"request\":".as_slice()).is_err());
    }
}
