//! Where a lake lies: a folder, or a prefix of an S3 bucket.

use super::LakeError;
use super::folder::Folder;
use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, CredentialProvider, ObjectStore, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;
use url::Url;

/// How long S3 is asked again before a call counts as failed; the caller tries later.
const S3_RETRY: Duration = Duration::from_secs(20);

/// How long credentials without an end are used before they are asked for again, and how long before their end others.
const CREDENTIALS_KEPT: Duration = Duration::from_secs(300);

/// Where a lake is to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LakeAt {
    /// A folder; made where there is none.
    Folder(PathBuf),
    /// `s3://bucket/prefix`.
    S3 {
        /// The URL.
        url: String,
        /// The bucket's region; the environment's where it is not given.
        region: Option<String>,
        /// Another server that speaks S3, with conditional puts.
        endpoint_url: Option<String>,
    },
}

/// An opened place. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// As a person would write it.
    pub shown: String,
    pub url: Url,
    /// Everything at the place's server.
    pub root: Arc<dyn ObjectStore>,
    /// The lake's part of it.
    pub store: Arc<dyn ObjectStore>,
    pub prefix: Path,
}

impl Place {
    pub async fn open(at: &LakeAt) -> Result<Place, LakeError> {
        match at {
            LakeAt::Folder(path) => Place::folder(path),
            LakeAt::S3 { url, region, endpoint_url } => {
                Place::s3(url, region.as_deref(), endpoint_url.as_deref()).await
            }
        }
    }

    fn folder(path: &std::path::Path) -> Result<Place, LakeError> {
        let failed = |cause| LakeError::Place { place: path.display().to_string(), cause };
        std::fs::create_dir_all(path).map_err(|cause| failed(cause.to_string()))?;
        let whole = path.canonicalize().map_err(|cause| failed(cause.to_string()))?;
        let url = Url::from_directory_path(&whole).map_err(|()| failed("it is no whole path".to_owned()))?;
        let prefix = Path::from_absolute_path(&whole).map_err(|cause| failed(cause.to_string()))?;
        Ok(Place::of(path.display().to_string(), url, prefix, Arc::new(Folder::new())))
    }

    async fn s3(url: &str, region: Option<&str>, endpoint: Option<&str>) -> Result<Place, LakeError> {
        let failed = |cause: String| LakeError::Place { place: url.to_owned(), cause };
        let parsed = Url::parse(&format!("{}/", url.trim_end_matches('/')))
            .map_err(|cause| failed(format!("{cause}; write s3://bucket/prefix")))?;
        let bucket = parsed.host_str().filter(|host| parsed.scheme() == "s3" && !host.is_empty());
        let Some(bucket) = bucket.map(str::to_owned) else {
            return Err(failed("it is no `s3://bucket/prefix`".to_owned()));
        };
        let prefix = Path::from_url_path(parsed.path()).map_err(|cause| failed(cause.to_string()))?;
        // Credentials as everywhere else in remit: by the SDK's chain.
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let shared = loader.load().await;
        let Some(region) = shared.region().map(|region| region.as_ref().to_owned()) else {
            return Err(failed("no region is known; give `[lake] region`".to_owned()));
        };
        let Some(provider) = shared.credentials_provider() else {
            return Err(failed("no credentials are known".to_owned()));
        };
        let client = ClientOptions::new()
            .with_timeout(Duration::from_secs(60))
            .with_connect_timeout(Duration::from_secs(5))
            .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(Arc::new(Credentials { provider, kept: Mutex::default() }))
            .with_client_options(client)
            .with_retry(RetryConfig { retry_timeout: S3_RETRY, max_retries: 5, ..RetryConfig::default() });
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|cause| failed(cause.to_string()))?;
        Ok(Place::of(url.to_owned(), parsed, prefix, Arc::new(store)))
    }

    fn of(shown: String, url: Url, prefix: Path, root: Arc<dyn ObjectStore>) -> Place {
        let store = Arc::new(PrefixStore::new(root.clone(), prefix.clone()));
        Place { shown, url, root, store, prefix }
    }

    pub fn log_store(&self) -> LogStoreRef {
        default_logstore(self.store.clone(), self.root.clone(), &self.url, &StorageConfig::default())
    }
}

/// The SDK's credentials for a client of another house.
#[derive(Debug)]
struct Credentials {
    provider: SharedCredentialsProvider,
    /// The last ones, and until when they are used.
    kept: Mutex<Option<(Arc<AwsCredential>, SystemTime)>>,
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let now = SystemTime::now();
        let mut kept = self.kept.lock().await;
        if let Some((credential, _)) = kept.as_ref().filter(|(_, until)| *until > now) {
            return Ok(credential.clone());
        }
        let known = self.provider.provide_credentials().await.map_err(|cause| {
            object_store::Error::Generic { store: "S3", source: format!("no credentials: {cause}").into() }
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: known.access_key_id().to_owned(),
            secret_key: known.secret_access_key().to_owned(),
            token: known.session_token().map(str::to_owned),
        });
        let until = known.expiry().map_or(now + CREDENTIALS_KEPT, |expiry| {
            (expiry - CREDENTIALS_KEPT.min(expiry.duration_since(now).unwrap_or_default())).max(now)
        });
        *kept = Some((credential.clone(), until));
        Ok(credential)
    }
}
