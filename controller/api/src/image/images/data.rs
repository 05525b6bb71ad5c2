//! `/v2/images/{id}/file`

use std::io;

use axum::body::Body as Bytes;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes as Piece;
use futures_util::{Stream, StreamExt, stream};
use sha2::{Digest, Sha512};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use updraft_core::image::import::STORE;
use updraft_core::image::{self, OpenImage};
use updraft_core::{Core, Error, ErrorKind};

use crate::http::{Answer, Call, byte_range};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Pieces in which a file goes out, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// `PUT`: 204 once the data was accepted. 415 unless it comes as `application/octet-stream`.
pub(super) async fn upload(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    request: Request,
) -> Answer<StatusCode> {
    check_headers(&core, request.headers())?;
    image::upload(&core, &caller, &id, request.into_body().into_data_stream()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v2/images/{id}/stage`: 204 once the data lies ready for an import.
pub(super) async fn stage(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    request: Request,
) -> Answer<StatusCode> {
    check_headers(&core, request.headers())?;
    image::stage(&core, &caller, &id, request.into_body().into_data_stream()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// 415 for another media type, 400 for an unknown store, 413 when the client says itself that it is too much
/// (`x-openstack-image-size`, or the body's length).
fn check_headers(core: &Core, headers: &HeaderMap) -> Result<(), Error> {
    if headers.get(header::CONTENT_TYPE) != Some(&OCTETS) {
        let message = "Image data is sent as application/octet-stream.";
        return Err(Error::new(ErrorKind::UnsupportedMediaType, "UnsupportedMediaType", message));
    }
    if headers.get("x-image-meta-store").is_some_and(|store| store != STORE) {
        return Err(Error::bad_request("UnknownScheme", "There is no such store."));
    }
    let number = |value: &HeaderValue| value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    for name in ["x-openstack-image-size", "content-length"] {
        let Some(value) = headers.get(name) else { continue };
        let size_bytes = number(value)
            .ok_or_else(|| Error::bad_request("Invalid", format!("Invalid {name}: it is not a number.")))?;
        if size_bytes > core.config.max_image_bytes {
            let message = format!("An image has at most {} bytes.", core.config.max_image_bytes);
            return Err(Error::new(ErrorKind::TooLarge, "ImageSizeLimitExceeded", message));
        }
    }
    Ok(())
}

/// `GET`: 200 with the data, 206 with a range of it, 204 when there is none yet.
pub(super) async fn download(
    Call { core, caller, .. }: Call,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    match image::download(&core, &caller, &id).await? {
        Some(open) => Ok(send(open, &headers).await?),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// The data of an open image, or the range of it that the request asks for.
pub async fn send(open: OpenImage, request: &HeaderMap) -> Result<Response, Error> {
    let OpenImage { image, mut file, size_bytes } = open;
    let range = byte_range::requested(request, size_bytes)?;
    let (first, length) = range.map_or((0, size_bytes), |range| (range.first, range.length()));
    file.seek(std::io::SeekFrom::Start(first)).await.map_err(Error::internal)?;
    let pieces = ReaderStream::with_capacity(file.take(length), PIECE_BYTES);
    let data = match (&image.data, &range) {
        (Some(data), None) => Bytes::from_stream(verified(pieces, data.sha512.clone())),
        _ => Bytes::from_stream(pieces),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, OCTETS);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Glance sends the image's checksum in hexadecimal here, and its clients check the whole by it.
    if let (Some(data), None) = (&image.data, &range)
        && let Ok(md5) = HeaderValue::from_str(&data.md5)
    {
        headers.insert(CONTENT_MD5, md5);
    }
    let Some(range) = range else { return Ok((StatusCode::OK, headers, data).into_response()) };
    if let Ok(value) = HeaderValue::from_str(&range.content_range(size_bytes)) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok((StatusCode::PARTIAL_CONTENT, headers, data).into_response())
}

/// The same pieces, cut off before the last one when the whole is not what was accepted once: a client that gets all
/// of it has the data that the image's hash is of.
fn verified<S>(pieces: S, sha512: String) -> impl Stream<Item = io::Result<Piece>>
where
    S: Stream<Item = io::Result<Piece>> + Unpin,
{
    let begin = (pieces, Sha512::new(), None::<Piece>);
    stream::try_unfold(begin, move |(mut pieces, mut hash, mut held)| {
        let sha512 = sha512.clone();
        async move {
            while let Some(piece) = pieces.next().await.transpose()? {
                hash.update(&piece);
                if let Some(ready) = held.replace(piece) {
                    return Ok(Some((ready, (pieces, hash, held))));
                }
            }
            let Some(last) = held else { return Ok(None) };
            let found = hash.finalize_reset();
            let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
            if found != sha512 {
                tracing::error!(found, expected = sha512, "an image's data is not what it was");
                return Err(io::Error::other("the image's data is damaged"));
            }
            Ok(Some((last, (pieces, hash, None))))
        }
    })
}
