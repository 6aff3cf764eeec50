//! Objects that a web server gives out.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::http::{HttpBuilder, HttpStore};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore};
use tokio::sync::OnceCell;

use super::{Content, Created, Object, Objects, RemoteObjects, Spool};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Key;
use crate::store::MARK;

/// Objects below a URL: read by ranges from any server, and listed where it speaks WebDAV.
#[derive(Clone, Debug)]
pub(super) struct HttpObjects {
    objects: RemoteObjects,
    store: Arc<HttpStore>,
    /// What the server has before the keys of its listings.
    above: Arc<OnceCell<String>>,
}

impl HttpObjects {
    /// Those below this URL, whose path is taken as it is written, with its percent signs.
    ///
    /// # Errors
    /// It is no such URL, or says more than where the store is.
    pub(super) fn new(url: &str) -> Result<Self> {
        let refused = |what| Err(Error::new(ErrorKind::Unsupported(what)));
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        // Of each object it would have to be another one.
        if rest.contains(['?', '#']) {
            return refused("a URL with a query or a fragment");
        }
        let host = rest.split(['/', '\\']).next().unwrap_or_default();
        if host.is_empty() {
            return refused("a URL without a host");
        }
        // It would stand in every message.
        if host.contains('@') {
            return refused("a URL with a user or a password");
        }
        let options = ClientOptions::new()
            .with_allow_http(scheme == "http")
            // A whole pack may take longer than any time that is set for all.
            .with_timeout_disabled()
            .with_read_timeout(READ_TIMEOUT);
        let builder = HttpBuilder::new().with_client_options(options);
        let built = builder.with_url(url.trim_end_matches('/')).build();
        let store = Arc::new(built.map_err(told)?);
        let objects = RemoteObjects::new(Arc::clone(&store) as Arc<dyn ObjectStore>, "", url)?;
        Ok(Self { objects, store, above: Arc::default() })
    }

    /// What stands before keys in listings. A server that lists has the mark of the store in the first one: some answer anything with nothing.
    async fn above(&self) -> Result<String> {
        let look = || async {
            let listed = self.store.list_with_delimiter(None).await.map_err(told)?;
            let mark = listed.objects.iter().find_map(|object| {
                let above = object.location.as_ref().strip_suffix(MARK)?;
                (above.is_empty() || above.ends_with('/')).then(|| above.to_owned())
            });
            let what = "the listing does not have the mark of the store";
            mark.ok_or_else(|| Error::new(ErrorKind::Malformed(what)))
        };
        self.above.get_or_try_init(look).await.cloned()
    }

    async fn below(&self, prefix: String) -> Result<BoxStream<'static, Result<Object>>> {
        let own = self.above().await?;
        let step = prefix.rsplit_once('/').map(|(step, _)| Path::from(step));
        let listed = self.store.list(step.as_ref()).map_err(told);
        let objects = listed.try_filter_map(move |meta| {
            let key = meta.location.as_ref().strip_prefix(&own[..]);
            let key = key.filter(|key| key.starts_with(&prefix));
            let object =
                key.map(|key| Object::new(key, meta.size, Some(meta.last_modified.into())));
            async move { Ok(object) }
        });
        Ok(objects.boxed())
    }
}

#[async_trait]
impl Objects for HttpObjects {
    async fn create(&self, key: &Key, _: Content) -> Result<Created> {
        Err(Error::new(ErrorKind::ReadOnly).of(key))
    }

    async fn replace(&self, key: &Key, _: Content) -> Result<()> {
        Err(Error::new(ErrorKind::ReadOnly).of(key))
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        self.objects.read(key, range).await
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.objects.stream(key, range).await
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.objects.size(key).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let (objects, prefix) = (self.clone(), prefix.to_owned());
        let name = format!("{}/{prefix}", objects.to_string().trim_end_matches('/'));
        let listed = stream::once(async move { objects.below(prefix).await }).try_flatten();
        listed.map_err(move |error: Error| error.of(&name)).boxed()
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        Err(Error::new(ErrorKind::ReadOnly).of(key))
    }

    fn spool(&self) -> Result<Spool> {
        Err(Error::new(ErrorKind::ReadOnly).of(self))
    }

    fn is_read_only(&self) -> bool {
        true
    }
}

impl fmt::Display for HttpObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.fmt(f)
    }
}

fn told(error: object_store::Error) -> Error {
    Error::new(ErrorKind::Io(io::Error::other(error)))
}

/// How long a server may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
