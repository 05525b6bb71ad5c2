//! `/v2/images/{id}/file`

use axum::body::Body as Bytes;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use updraft_core::image::{self, OpenImage};
use updraft_core::{Error, ErrorKind};

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
    if request.headers().get(header::CONTENT_TYPE) != Some(&OCTETS) {
        let message = "Image data is sent as application/octet-stream.";
        return Err(Error::new(ErrorKind::UnsupportedMediaType, "UnsupportedMediaType", message).into());
    }
    image::upload(&core, &caller, &id, request.into_body().into_data_stream()).await?;
    Ok(StatusCode::NO_CONTENT)
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
    let data = Bytes::from_stream(ReaderStream::with_capacity(file.take(length), PIECE_BYTES));
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
