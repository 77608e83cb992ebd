//! Stores behind a cache folder: S3-compatible ones, HTTP servers (WebDAV to list and write), folders, the Hugging Face
//! Hub (reading).
//!
//! A store has the same paths as the folder. What says "complete" is read first and written last, so that a reader
//! never takes a result that is still on its way.

mod hub;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use futures_util::StreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{ClientOptions, ObjectStore, PutPayload, RetryConfig, WriteMultipart};
use tokio::runtime::Runtime;

use crate::entry::{DIGEST, DONE, Entry, FLAGS, MODEL, NEFF, State};
use crate::key::{Key, VERSION_PREFIX, version_folder};
use crate::local::{Cache, Taken, place};
use crate::{digest, io};
use hub::Hub;

/// Files larger than this are sent in parts.
const PART: usize = 16 << 20;

/// A remote store.
pub struct Remote {
    url: String,
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    /// Folder in the store.
    prefix: StorePath,
    /// The Hub lists and writes in its own way.
    hub: Option<Hub>,
    /// Whether large files may be sent in parts.
    parts: bool,
}

impl Remote {
    /// Opens `s3://bucket/prefix`, `http(s)://host/path`, `hf://owner/name[@revision][/prefix]`, or a folder.
    ///
    /// Settings come from the environment: `AWS_*` (also `AWS_ENDPOINT_URL` for other S3-compatible stores), `HF_TOKEN`,
    /// `HF_ENDPOINT`.
    ///
    /// # Errors
    /// A URL of another kind; settings that are wrong.
    pub fn open(url: &str) -> Result<Remote> {
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Remote::with_settings(url, &environment.collect::<Vec<_>>())
    }

    /// As [`Remote::open`] with other settings than the environment's.
    pub fn with_settings(url: &str, settings: &[(String, String)]) -> Result<Remote> {
        let wrong = |e: object_store::Error| failure(url, &e.to_string());
        let setting = |name: &str| settings.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
        let retry = RetryConfig {
            max_retries: 3,
            retry_timeout: Duration::from_secs(60),
            ..RetryConfig::default()
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("file", url));
        let mut hub = None;
        let mut prefix = StorePath::default();
        let store: Arc<dyn ObjectStore> = match scheme {
            "s3" | "s3a" => {
                let (bucket, below) = rest.split_once('/').unwrap_or((rest, ""));
                prefix = StorePath::from(below);
                let mut builder = AmazonS3Builder::new();
                for (key, value) in settings {
                    let key = key.to_ascii_lowercase();
                    if key.starts_with("aws_")
                        && let Ok(key) = key.parse::<AmazonS3ConfigKey>()
                    {
                        builder = builder.with_config(key, value);
                    }
                }
                Arc::new(
                    builder
                        .with_bucket_name(bucket)
                        .with_retry(retry)
                        .build()
                        .map_err(wrong)?,
                )
            }
            "http" | "https" => {
                let options = ClientOptions::new().with_allow_http(true);
                let builder = HttpBuilder::new().with_url(url).with_retry(retry);
                Arc::new(builder.with_client_options(options).build().map_err(wrong)?)
            }
            "hf" => {
                let opened = Hub::parse(rest, setting("HF_ENDPOINT"), setting("HF_TOKEN"))
                    .ok_or_else(|| failure(url, "no name of a repository").help("give hf://owner/name[@revision]"))?;
                prefix = StorePath::from(opened.prefix.as_str());
                let options = opened.client_options().map_err(|e| failure(url, &e))?;
                let builder = HttpBuilder::new().with_url(opened.files_url()).with_retry(retry);
                let store = builder.with_client_options(options).build().map_err(wrong)?;
                hub = Some(opened);
                Arc::new(store)
            }
            "file" => {
                std::fs::create_dir_all(rest).map_err(|e| io(Path::new(rest), &e))?;
                Arc::new(LocalFileSystem::new_with_prefix(rest).map_err(wrong)?)
            }
            _ => {
                return Err(failure(url, "no such kind of store")
                    .help("give a folder, s3://bucket/prefix, https://host/path or hf://owner/name"));
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| failure(url, &e.to_string()))?;
        Ok(Remote {
            url: url.to_string(),
            runtime,
            store,
            prefix,
            hub,
            parts: matches!(scheme, "s3" | "s3a" | "file"),
        })
    }

    /// Whether nothing can be sent to it.
    pub fn is_read_only(&self) -> bool {
        self.hub.is_some()
    }

    /// Fetches an entry that the folder does not have. Says whether it did: not if the store has none, or if its result
    /// does not fit its digest.
    pub fn pull(&self, cache: &Cache, entry: &Entry) -> Result<bool> {
        if entry.state() == State::Done || self.small(entry, DONE)?.is_none() {
            return Ok(false);
        }
        std::fs::create_dir_all(cache.root()).map_err(|e| io(cache.root(), &e))?;
        let mut file = tempfile::Builder::new()
            .prefix(crate::entry::TEMPORARY)
            .tempfile_in(cache.root())
            .map_err(|e| io(cache.root(), &e))?;
        if !self.download(entry, NEFF, file.as_file_mut())? {
            return Ok(false);
        }
        let found = digest::of_file(file.path()).map_err(|e| io(file.path(), &e))?;
        if let Some(line) = self.small(entry, DIGEST)?
            && digest::parse(&String::from_utf8_lossy(&line)) != Some(&*found)
        {
            return Ok(false);
        }
        let cache = Cache::new(cache.root(), &entry.version);
        let Taken::Reserved(reservation) = cache.take(&entry.key, cache.root(), true, &|_| true)? else {
            return Ok(false); // someone else was faster
        };
        for name in [FLAGS, MODEL] {
            if let Some(content) = self.small(entry, name)? {
                place(entry, name, |out| out.write_all(&content))?;
            }
        }
        reservation.publish(|path| std::fs::copy(file.path(), path).map(drop).map_err(|e| io(path, &e)))?;
        Ok(true)
    }

    /// Gives an entry to the store, if it is complete and not there yet. Says whether it did.
    pub fn push(&self, entry: &Entry) -> Result<bool> {
        if entry.state() != State::Done || self.small(entry, DONE)?.is_some() {
            return Ok(false);
        }
        if self.is_read_only() {
            return Err(failure(&self.url, "the Hub is only read")
                .help("`ferrite cache synchronize` to a folder, and send that with `hf upload`"));
        }
        for name in [MODEL, FLAGS, DIGEST, NEFF, DONE] {
            let path = entry.file(name);
            match File::open(&path) {
                Ok(file) => self.upload(entry, name, file)?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(io(&path, &e)),
            }
        }
        Ok(true)
    }

    /// Complete entries in the store: versions and keys, sorted.
    ///
    /// # Errors
    /// A store that does not list: plain HTTP servers do not.
    pub fn entries(&self) -> Result<Vec<(String, Key)>> {
        let mut found = Vec::new();
        for (path, _) in self.list("")? {
            let parts: Vec<&str> = path.split('/').collect();
            if let [.., version, key, DONE] = parts.as_slice()
                && let Some(version) = version.strip_prefix(VERSION_PREFIX)
                && let Some(key) = Key::parse(key)
            {
                found.push((version.to_string(), key));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Files below a folder of the cache in the store, with their sizes.
    pub fn list(&self, below: &str) -> Result<Vec<(String, u64)>> {
        let fail = |e: &dyn std::fmt::Display| failure(&self.url, &e.to_string());
        if let Some(hub) = &self.hub {
            return self.runtime.block_on(hub.list(below)).map_err(|e| fail(&e));
        }
        let prefix = join(&self.prefix, below);
        self.runtime.block_on(async {
            let mut all = Vec::new();
            let mut stream = self.store.list(Some(&prefix));
            while let Some(object) = stream.next().await {
                let object = object.map_err(|e| fail(&e))?;
                all.push((object.location.to_string(), object.size));
            }
            Ok(all)
        })
    }

    fn at(&self, entry: &Entry, name: &str) -> StorePath {
        join(
            &self.prefix,
            &format!("{}/{}/{name}", version_folder(&entry.version), entry.key),
        )
    }

    /// A small file, or nothing if it is not there.
    fn small(&self, entry: &Entry, name: &str) -> Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        Ok(self.download(entry, name, &mut content)?.then_some(content))
    }

    /// Says whether the file is there.
    fn download(&self, entry: &Entry, name: &str, to: &mut impl Write) -> Result<bool> {
        let fail = |e: &dyn std::fmt::Display| failure(&self.url, &e.to_string());
        let path = self.at(entry, name);
        self.runtime.block_on(async {
            let answer = match self.store.get(&path).await {
                Err(object_store::Error::NotFound { .. }) => return Ok(false),
                other => other.map_err(|e| fail(&e))?,
            };
            let mut stream = answer.into_stream();
            while let Some(part) = stream.next().await {
                to.write_all(&part.map_err(|e| fail(&e))?).map_err(|e| fail(&e))?;
            }
            Ok(true)
        })
    }

    fn upload(&self, entry: &Entry, name: &str, mut from: File) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| failure(&self.url, &e.to_string());
        let path = self.at(entry, name);
        let size = from.metadata().map_err(|e| fail(&e))?.len();
        self.runtime.block_on(async {
            if size <= PART as u64 || !self.parts {
                let mut content = Vec::new();
                from.read_to_end(&mut content).map_err(|e| fail(&e))?;
                let put = self.store.put(&path, PutPayload::from(content)).await;
                return put.map(drop).map_err(|e| fail(&e));
            }
            let upload = self.store.put_multipart(&path).await.map_err(|e| fail(&e))?;
            let mut parts = WriteMultipart::new_with_chunk_size(upload, PART);
            let mut buffer = vec![0; PART];
            loop {
                let n = from.read(&mut buffer).map_err(|e| fail(&e))?;
                if n == 0 {
                    break;
                }
                parts.wait_for_capacity(4).await.map_err(|e| fail(&e))?;
                parts.write(&buffer[..n]);
            }
            parts.finish().await.map(drop).map_err(|e| fail(&e))
        })
    }
}

fn join(prefix: &StorePath, below: &str) -> StorePath {
    let parts = below.split('/').filter(|p| !p.is_empty());
    parts.fold(prefix.clone(), |path, part| path.child(part))
}

fn failure(url: &str, text: &str) -> Diagnostic {
    Diagnostic::error(Code::Io, format!("`{url}`: {text}"))
}
