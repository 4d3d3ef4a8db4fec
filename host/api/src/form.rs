//! Reads a form (`multipart/form-data`) piece by piece. Not here: which fields a form has (`documents`, `files`, `adapters`).
//!
//! A form's reader collects what comes until a field's head is whole, and all that a fast client has sent. Here it gets little at once, and
//! is ended if that does not become a field or a piece of one.

use crate::{body::unreadable_body, file_name};
use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::{
        FromRequest, Multipart, Request,
        multipart::{Field, MultipartError, MultipartRejection},
    },
};
use futures::Stream;
use riad_core::{Error, ErrorKind};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

/// Bytes of a field that is a short text.
const TEXT_BYTES: usize = 128 << 10;
/// Bytes that the reader gets at once.
const PIECE_BYTES: usize = 64 << 10;
/// Bytes that it may collect before it gives any, of a field's head or of what stands before the first field.
const COLLECTED_BYTES: usize = 2 * PIECE_BYTES;

pub(crate) struct Form {
    multipart: Multipart,
    /// Bytes that the reader got since it gave any.
    collected: Arc<AtomicUsize>,
}

pub(crate) struct FormField<'a> {
    field: Field<'a>,
    collected: &'a AtomicUsize,
}

impl Form {
    /// # Errors
    /// `InvalidRequest` if the request has no form.
    pub async fn of<S: Send + Sync>(request: Request, state: &S) -> Result<Self, Error> {
        let collected = Arc::new(AtomicUsize::new(0));
        let request = request.map(|body| {
            Body::from_stream(PacedBody {
                body: body.into_data_stream(),
                rest: Bytes::new(),
                has_given: false,
                collected: Arc::clone(&collected),
            })
        });
        let multipart = Multipart::from_request(request, state).await.map_err(no_form)?;
        Ok(Self { multipart, collected })
    }

    /// # Errors
    /// `InvalidRequest` if the form is cut off or malformed, `TooLarge` if the body is larger than its path allows.
    pub async fn next(&mut self) -> Result<Option<FormField<'_>>, Error> {
        let field = self.multipart.next_field().await.map_err(|error| broken(&error))?;
        self.collected.store(0, Ordering::Relaxed);
        Ok(field.map(|field| FormField {
            field,
            collected: &self.collected,
        }))
    }
}

impl FormField<'_> {
    /// Empty if it has none.
    pub fn name(&self) -> String {
        self.field.name().unwrap_or_default().to_owned()
    }

    /// Without folders; empty if it has none.
    pub fn file_name(&self) -> String {
        file_name::of(&self.field)
    }

    /// Empty if it has none.
    pub fn media_type(&self) -> String {
        self.field.content_type().unwrap_or_default().to_owned()
    }

    /// # Errors
    /// As [`Form::next`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.field.chunk().await.map_err(|error| broken(&error))?;
        self.collected.store(0, Ordering::Relaxed);
        Ok(chunk)
    }

    /// The whole field, in memory.
    ///
    /// # Errors
    /// As [`Form::next`].
    pub async fn bytes(self) -> Result<Bytes, Error> {
        self.read(usize::MAX).await
    }

    /// A short text.
    ///
    /// # Errors
    /// As [`Form::next`]; `TooLarge` if it is not short, `InvalidRequest` if it is not UTF-8.
    pub async fn text(self) -> Result<String, Error> {
        let name = self.name();
        let bytes = self.read(TEXT_BYTES).await?;
        String::from_utf8(bytes.into()).map_err(|_| Error::invalid(format!("{name} must be UTF-8")).with_param(name))
    }

    async fn read(mut self, most: usize) -> Result<Bytes, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > most {
                let name = self.name();
                let text = format!("{name} has more than {most} bytes");
                return Err(Error::new(ErrorKind::TooLarge, text).with_param(name));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.into())
    }
}

/// A body that gives a piece at each wake-up, because the reader takes as much as it gets before it looks at it.
struct PacedBody {
    body: BodyDataStream,
    /// Of what came last.
    rest: Bytes,
    has_given: bool,
    collected: Arc<AtomicUsize>,
}

impl Stream for PacedBody {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.has_given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                ended => return Poll::Ready(ended),
            }
        }
        let bytes = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(bytes);
        if self.collected.fetch_add(bytes, Ordering::Relaxed) + bytes > COLLECTED_BYTES {
            let error = io::Error::other("a form without a field where one must be");
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        self.has_given = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

pub(crate) fn duplicate_field(name: &str) -> Error {
    Error::invalid(format!("the form has {name} twice; send it once")).with_param(name)
}

pub(crate) fn missing_field(name: &str) -> Error {
    Error::invalid(format!("the form lacks {name}; add this field")).with_param(name)
}

fn broken(error: &MultipartError) -> Error {
    unreadable_body(error.status())
}

fn no_form(_: MultipartRejection) -> Error {
    Error::invalid("send the files as multipart/form-data with a boundary")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, header};
    use futures::{StreamExt, stream};

    const TAIL: &[u8] = b"\r\n--b--\r\n";

    /// A form whose bytes come in frames of this size.
    async fn form(body: Vec<u8>, frame: usize) -> Form {
        let frames: Vec<_> = body.chunks(frame).map(Bytes::copy_from_slice).collect();
        let mut request = Request::new(Body::from_stream(stream::iter(frames).map(Ok::<_, io::Error>)));
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=b");
        request.headers_mut().insert(header::CONTENT_TYPE, content_type);
        Form::of(request, &()).await.unwrap()
    }

    fn field(head: &str, text: &[u8]) -> Vec<u8> {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"file\"{head}\r\n\r\n");
        [head.as_bytes(), text, TAIL].concat()
    }

    #[tokio::test]
    async fn a_field_is_read_in_pieces_however_it_comes() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        for frame in [1 << 12, 1 << 18, usize::MAX] {
            let mut form = form(field("", &text), frame).await;
            let mut file = form.next().await.unwrap().unwrap();
            assert_eq!(file.name(), "file");
            let mut read = Vec::new();
            while let Some(chunk) = file.chunk().await.unwrap() {
                assert!(chunk.len() <= COLLECTED_BYTES, "a chunk of {} bytes", chunk.len());
                read.extend_from_slice(&chunk);
            }
            assert!(read == text);
            // The form's reader gives one field at a time.
            drop(file);
            assert!(form.next().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn what_does_not_become_a_field_is_not_collected() {
        let long = "x".repeat(COLLECTED_BYTES);
        let head = field(&format!("; filename=\"{long}\""), b"text");
        for body in [head, [long.as_bytes(), &field("", b"text")].concat()] {
            for frame in [1 << 12, usize::MAX] {
                let refused = form(body.clone(), frame).await.next().await.err().unwrap();
                assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
            }
        }
        let mut form = form(field(&format!("; filename=\"{}\"", &long[..60_000]), b"text"), 1 << 12).await;
        assert_eq!(form.next().await.unwrap().unwrap().file_name().len(), 60_000);
    }

    #[tokio::test]
    async fn a_text_is_short() {
        for (bytes, fits) in [(TEXT_BYTES, true), (TEXT_BYTES + 1, false)] {
            let mut form = form(field("", &vec![b'x'; bytes]), usize::MAX).await;
            let text = form.next().await.unwrap().unwrap().text().await;
            assert_eq!(text.is_ok(), fits);
            let error = text.err().map(|error| (error.kind(), error.param().map(str::to_owned)));
            assert_eq!(error, (!fits).then(|| (ErrorKind::TooLarge, Some("file".to_owned()))));
        }
    }
}
