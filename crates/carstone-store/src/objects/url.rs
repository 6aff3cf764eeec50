//! Stores by their URLs.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::multipart::MultipartStore;

use super::{LocalObjects, Objects, RemoteObjects};
use crate::error::{Error, ErrorKind, Result};

/// Where a store is, and how it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreUrl {
    /// A directory, or `file:///DIRECTORY`, whose path is taken as it is written; `memory:`, `s3://BUCKET/PREFIX`, or `https://HOST/PATH` of a store that is only read.
    pub url: String,
    /// The service, where that is not the usual one.
    pub endpoint: Option<String>,
}

impl StoreUrl {
    /// That of a directory path, or any other URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), endpoint: None }
    }

    /// Sets the URL of the service: of one that is compatible with S3.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Option<String>) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// The directory, if it is one.
    pub fn directory(&self) -> Option<&str> {
        if let Some((scheme, rest)) = self.url.split_once("://")
            && is_scheme(scheme)
        {
            return (scheme == "file" && rest.starts_with('/')).then_some(rest);
        }
        match self.url.split_once(':') {
            Some(("memory" | "s3" | "gs" | "az" | "http" | "https", _)) => None,
            _ => Some(&self.url),
        }
    }

    /// The objects that are there. Keys for services are taken from the environment, as their own tools have it.
    ///
    /// Those at an `http://` or `https://` URL are [published ones](super::PublishedObjects). The path of the URL is taken as it is written, with its
    /// percent signs. A server may send readers elsewhere, but not from `https://` to `http://`.
    ///
    /// # Errors
    /// The URL is of a kind that is not known, or of a service that is not compiled in, or malformed; one of a file names a host; one of HTTP has a user, a password, a query or a fragment.
    pub fn objects(&self) -> Result<Arc<dyn Objects>> {
        let of = |error: Error| error.of(&self.url);
        if let Some(directory) = self.directory() {
            return Ok(Arc::new(LocalObjects::new(directory)));
        }
        if self.url == MEMORY {
            return Ok(Arc::new(RemoteObjects::in_memory()));
        }
        let (scheme, rest) = self.url.split_once("://").unwrap_or((&self.url, ""));
        if scheme == "file" {
            return Err(of(Error::new(ErrorKind::Unsupported("a file URL with a host"))));
        }
        #[cfg(feature = "http")]
        if matches!(scheme, "http" | "https") {
            let objects = super::http::HttpObjects::new(&self.url).map_err(of)?;
            return Ok(Arc::new(super::PublishedObjects::new(Arc::new(objects))));
        }
        if is_scheme(scheme) && !matches!(scheme, "s3" | "gs" | "az") {
            return Err(of(Error::new(ErrorKind::UnknownUrl)));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(of(Error::new(ErrorKind::Unsupported("a URL without a bucket"))));
        }
        service(scheme, bucket, self.endpoint.as_deref())
            .and_then(|service| service.objects(prefix, &self.url))
            .map_err(of)
    }
}

/// Whether a URL may begin with this. Letters of either case, so that nothing is made by mistake in a directory that is called so.
fn is_scheme(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_inner)
}

/// What is compiled in of a service.
struct Service {
    store: Arc<dyn ObjectStore>,
    parts: Arc<dyn MultipartStore>,
}

impl Service {
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    fn new(store: impl ObjectStore + MultipartStore) -> Self {
        let store = Arc::new(store);
        Self { store: store.clone(), parts: store }
    }

    fn objects(self, prefix: &str, name: &str) -> Result<Arc<dyn Objects>> {
        Ok(Arc::new(
            RemoteObjects::new(self.store, prefix, name)?.resumable(self.parts, NOTED_EACH),
        ))
    }
}

fn service(scheme: &str, bucket: &str, endpoint: Option<&str>) -> Result<Service> {
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    let told = |error| Error::new(ErrorKind::Io(std::io::Error::other(error)));
    match scheme {
        #[cfg(feature = "s3")]
        "s3" => {
            use object_store::aws::{AmazonS3Builder, Checksum};
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                // The service refuses bytes that are not those that were sent.
                .with_checksum_algorithm(Checksum::SHA256);
            if let Some(endpoint) = endpoint {
                builder = builder
                    .with_endpoint(endpoint)
                    .with_allow_http(endpoint.starts_with("http://"))
                    .with_virtual_hosted_style_request(false);
            }
            Ok(Service::new(builder.build().map_err(told)?))
        }
        #[cfg(feature = "gcs")]
        "gs" => {
            let builder = object_store::gcp::GoogleCloudStorageBuilder::from_env();
            Ok(Service::new(builder.with_bucket_name(bucket).build().map_err(told)?))
        }
        #[cfg(feature = "azure")]
        "az" => {
            let builder = object_store::azure::MicrosoftAzureBuilder::from_env();
            Ok(Service::new(builder.with_container_name(bucket).build().map_err(told)?))
        }
        _ => {
            let _ = (bucket, endpoint);
            Err(Error::new(ErrorKind::UnknownUrl))
        }
    }
}

/// Bytes of an upload after which it is noted what has arrived: twice those of a pack.
const NOTED_EACH: u64 = 256 << 20;
const MEMORY: &str = "memory:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_directory_and_what_is_none() {
        for (url, directory) in [
            ("store", Some("store")),
            ("/a b/store", Some("/a b/store")),
            ("./ftp://x", Some("./ftp://x")),
            ("C:\\store", Some("C:\\store")),
            ("file:///a%20b", Some("/a%20b")),
            ("file://host/a", None),
            ("file://", None),
            ("ftp://x/y", None),
            ("S3://x/y", None),
            ("memory:", None),
            ("s3://bucket/prefix", None),
        ] {
            assert_eq!(StoreUrl::new(url).directory(), directory, "{url}");
        }
    }

    #[test]
    fn a_url_of_another_kind_is_an_error_that_names_those_that_are_known() {
        for url in ["ftp://x/y", "ftp:///y", "S3://x/y", "memory://x", "git+ssh://x/y"] {
            let error = StoreUrl::new(url).objects().expect_err("not known").to_string();
            assert!(error.starts_with(url) && error.contains("file:///PATH"), "{error}");
            assert_eq!(error.contains("s3://,") || error.contains(", s3://"), cfg!(feature = "s3"));
        }
        let error = StoreUrl::new("file://host/a").objects().expect_err("a host");
        assert!(error.to_string().contains("a file URL with a host"), "{error}");
    }
}
