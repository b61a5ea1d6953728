//! Where objects wait.

use sha2::{Digest, Sha256};

use crate::formats::cloudtrail::hex;

/// One version of one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// The name of the source that it came from.
    pub source: String,
    /// The bucket; for a directory its absolute path.
    pub bucket: String,
    /// The key; for a directory the path below it.
    pub key: String,
    /// What tells this version from others of the same key. S3: the version's id, else the ETag in its quotes, else
    /// empty. Directory: SHA-256 of the bytes.
    pub version: String,
}

impl ObjectRef {
    /// 32 hexadecimal digits that stand for bucket, key and version; the source's name may change.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for part in [&self.bucket, &self.key, &self.version] {
            // With its length before it no part can reach into the next.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let mut id = hex(&hash.finalize());
        id.truncate(32);
        id
    }

    /// Where it is, for people: `s3://bucket/key` or a path.
    pub fn display(&self) -> String {
        // A bucket's name has no slash, an absolute path has nothing without one.
        if self.bucket.contains(['/', '\\']) {
            format!("{}/{}", self.bucket.trim_end_matches('/'), self.key)
        } else {
            format!("s3://{}/{}", self.bucket, self.key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bucket: &str, key: &str, version: &str) -> ObjectRef {
        let [source, bucket, key, version] = ["s", bucket, key, version].map(str::to_owned);
        ObjectRef { source, bucket, key, version }
    }

    #[test]
    fn an_id_is_of_bucket_key_and_version() {
        let id = object("b", "k", "v").id();
        assert_eq!(id.len(), 32);
        assert_eq!(ObjectRef { source: "renamed".into(), ..object("b", "k", "v") }.id(), id);
        for other in [object("bk", "", "v"), object("b", "kv", ""), object("b", "k", "w")] {
            assert_ne!(other.id(), id, "{other:?}");
        }
    }

    #[test]
    fn a_place_is_shown_as_people_write_it() {
        assert_eq!(object("logs", "a/b.json.gz", "").display(), "s3://logs/a/b.json.gz");
        assert_eq!(object("/var/logs", "a/b.json", "").display(), "/var/logs/a/b.json");
        assert_eq!(object("/", "b.json", "").display(), "/b.json");
    }
}
