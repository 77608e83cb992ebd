//! Stores against a small server of our own: what S3, WebDAV and the Hub answer to the requests that matter here.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;
use crate::Store;

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Serves until the test process ends.
fn serve() -> (String, Files) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let files = Files::default();
    let served = files.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let files = served.clone();
            std::thread::spawn(move || while answer(&stream, &files).is_some() {});
        }
    });
    (url, files)
}

/// Answers one request; nothing when the connection ends.
fn answer(stream: &TcpStream, files: &Files) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|&n| n > 0)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?, words.next()?.to_string());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
        let (name, value) = match line.trim().split_once(':') {
            None => break,
            Some(pair) => pair,
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = path.replace("%2B", "+");
    let mut files = files.lock().unwrap();
    let (status, content) = match method {
        "PUT" => {
            files.insert(path, body);
            ("201 Created", Vec::new())
        }
        _ if query.contains("list-type=2") => ("200 OK", s3_list(&files, &path)),
        _ if path.contains("/api/models/") => ("200 OK", hub_list(&files)),
        "PROPFIND" => ("207 Multi-Status", webdav_list(&files)),
        _ => match files.get(&path) {
            Some(content) => ("200 OK", content.clone()),
            None => ("404 Not Found", Vec::new()),
        },
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"1\"\r\nLast-Modified: Fri, 20 Nov 2026 00:00:00 GMT\r\n\r\n",
        content.len()
    )
    .ok()?;
    stream.write_all(if method == "HEAD" { &[] } else { &content }).ok()
}

fn s3_list(files: &BTreeMap<String, Vec<u8>>, bucket: &str) -> Vec<u8> {
    let items: String = files
        .iter()
        .filter_map(|(path, content)| Some((path.strip_prefix(bucket)?.trim_start_matches('/'), content.len())))
        .map(|(key, size)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-20T00:00:00.000Z</LastModified><ETag>\"1\"</ETag>\
                 <Size>{size}</Size></Contents>"
            )
        })
        .collect();
    format!("<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>").into_bytes()
}

fn hub_list(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let items: Vec<_> = files
        .iter()
        .filter_map(|(path, content)| {
            let path = path.split_once("/resolve/main/")?.1;
            Some(serde_json::json!({ "type": "file", "path": path, "size": content.len() }))
        })
        .collect();
    serde_json::to_vec(&items).unwrap()
}

fn webdav_list(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let items: String = files
        .iter()
        .map(|(path, content)| {
            format!(
                "<D:response><D:href>{path}</D:href><D:propstat><D:prop>\
                 <D:getlastmodified>Fri, 20 Nov 2026 00:00:00 GMT</D:getlastmodified>\
                 <D:getcontentlength>{}</D:getcontentlength><D:resourcetype/></D:prop>\
                 <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>",
                content.len()
            )
        })
        .collect();
    format!("<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">{items}</D:multistatus>").into_bytes()
}

const VERSION: &str = "1.0.0.0+0000beef";

fn key() -> Key {
    Key::parse("MODULE_12+34").unwrap()
}

fn store(folder: &Path, url: &str) -> Store {
    let settings = [
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ];
    let mut settings = settings.map(|(k, v)| (k.to_string(), v.to_string())).to_vec();
    let mut url = url.to_string();
    if let Some((endpoint, bucket)) = url.clone().split_once("|") {
        settings[0].1 = endpoint.to_string();
        settings.push(("AWS_ALLOW_HTTP".into(), "true".into()));
        settings.push(("HF_ENDPOINT".into(), endpoint.to_string()));
        url = bucket.to_string();
    }
    Store {
        cache: Cache::new(folder, VERSION),
        remote: Some(Remote::with_settings(&url, &settings).unwrap()),
    }
}

fn fill(cache: &Cache, content: &[u8]) {
    let Taken::Reserved(r) = cache.take(&key(), cache.root(), false, &|_| true).unwrap() else {
        panic!("it was there")
    };
    place(r.entry(), MODEL, |out| out.write_all(b"graph")).unwrap();
    r.publish(|path| std::fs::write(path, content).map_err(|e| io(path, &e)))
        .unwrap();
}

/// One folder gives, another takes.
fn round_trip(url: &str) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (store(here.path(), url), store(there.path(), url));
    assert!(!b.pull(&key()).unwrap(), "{url}: an empty store");
    fill(&a.cache, b"neff");
    assert!(a.push(&key()).unwrap() && !a.push(&key()).unwrap(), "{url}");
    assert!(b.pull(&key()).unwrap() && !b.pull(&key()).unwrap(), "{url}");
    let entry = b.cache.entry(&key());
    assert_eq!(std::fs::read(entry.file(NEFF)).unwrap(), b"neff");
    assert_eq!(std::fs::read(entry.file(MODEL)).unwrap(), b"graph");
    assert_eq!(entry.verify(&|_| false), Some(crate::Check::Intact));
    let listed = b.remote.as_ref().unwrap().entries().unwrap();
    assert_eq!(listed, [(VERSION.to_string(), key())], "{url}");
}

#[test]
fn entries_travel_through_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    round_trip(&format!("file://{}", folder.path().join("shared").display()));
}

#[test]
fn entries_travel_through_s3() {
    let (url, _) = serve();
    round_trip(&format!("{url}|s3://bucket/some/prefix"));
}

#[test]
fn entries_travel_through_webdav() {
    let (url, _) = serve();
    round_trip(&format!("{url}/cache"));
}

#[test]
fn the_hub_is_read() {
    let (url, files) = serve();
    let folder = tempfile::tempdir().unwrap();
    let made = tempfile::tempdir().unwrap();
    let cache = Cache::new(made.path(), VERSION);
    fill(&cache, b"neff");
    for name in [MODEL, NEFF, DIGEST, DONE] {
        let path = format!("/org/cache/resolve/main/neuronxcc-{VERSION}/{}/{name}", key());
        files
            .lock()
            .unwrap()
            .insert(path, std::fs::read(cache.entry(&key()).file(name)).unwrap());
    }
    let hub = store(folder.path(), &format!("{url}|hf://org/cache"));
    assert_eq!(
        hub.remote.as_ref().unwrap().entries().unwrap(),
        [(VERSION.to_string(), key())]
    );
    assert!(hub.pull(&key()).unwrap());
    let other = Key::parse("MODULE_99+34").unwrap();
    assert!(!hub.pull(&other).unwrap());
    // What was compiled here stays here; to ask for more is an error.
    assert!(!hub.push(&key()).unwrap());
    files.lock().unwrap().clear();
    assert!(hub.remote.as_ref().unwrap().push(&hub.cache.entry(&key())).is_err());
}

#[test]
fn a_damaged_result_is_not_taken() {
    let (url, files) = serve();
    let url = format!("{url}/cache");
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = store(here.path(), &url);
    fill(&a.cache, b"neff");
    a.push(&key()).unwrap();
    for (path, content) in files.lock().unwrap().iter_mut() {
        if path.ends_with(NEFF) {
            content[0] ^= 1;
        }
    }
    let b = store(there.path(), &url);
    assert!(!b.pull(&key()).unwrap());
    assert_eq!(b.cache.entry(&key()).state(), State::Empty);
}

#[test]
fn a_large_file_goes_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().join("shared").display());
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (store(here.path(), &url), store(there.path(), &url));
    let content: Vec<u8> = (0..PART + 77).map(|i| i as u8).collect();
    fill(&a.cache, &content);
    a.push(&key()).unwrap();
    assert!(b.pull(&key()).unwrap());
    assert!(std::fs::read(b.cache.entry(&key()).file(NEFF)).unwrap() == content);
}

#[test]
fn a_store_that_is_not_there_is_an_error_with_its_name() {
    let error = Remote::open("ftp://x/y").err().unwrap();
    assert!(error.message.contains("ftp://x/y") && error.help.is_some());
}
