//! The headers of the files of weights: which tensors there are and whether the files are whole.

use super::{json, wrong};
use riad_core::{Error, Result};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The limit of the safetensors format.
const HEADER_MAX: u64 = 100_000_000;

#[derive(Debug)]
pub struct Tensor {
    pub name: String,
    /// As the format spells it, such as `BF16`.
    pub dtype: String,
    pub shape: Vec<u64>,
    pub bytes: u64,
}

impl Tensor {
    /// Numbers of the tensor. A shape that overflows is one that its bytes contradict.
    #[must_use]
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product, size| product.saturating_mul(*size))
    }
}

#[derive(Debug, Default)]
pub struct Weights {
    pub tensors: Vec<Tensor>,
}

impl Weights {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut tensors = Vec::new();
        for file in files(folder)? {
            tensors.extend(Self::open(&file)?.tensors);
        }
        Ok(Self { tensors })
    }

    /// Compares the header of a safetensors file with the file's length, which finds incomplete downloads. The format: 8 bytes
    /// with the length of a JSON object, little-endian; the object, with the offsets of the tensors; the tensors.
    ///
    /// # Errors
    /// `InvalidRequest` if the file is missing, incomplete or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |why: String| wrong(format!("{}: {why}", path.display()));
        let mut file = File::open(path).map_err(|error| failed(format!("{error}; download it again")))?;
        let length = file.metadata().map_err(|error| failed(error.to_string()))?.len();
        let mut head = [0; 8];
        let read = file.read_exact(&mut head);
        if &head == b"version " {
            return Err(failed(
                "this is only a Git LFS pointer to the file; run `git lfs pull`".to_owned(),
            ));
        }
        let broken = || failed("the file is incomplete or not in the safetensors format; download it again".to_owned());
        read.map_err(|_| broken())?;
        let header = u64::from_le_bytes(head);
        if header > HEADER_MAX || header + 8 > length {
            return Err(broken());
        }
        let mut text = Vec::new();
        file.take(header).read_to_end(&mut text).map_err(|_| broken())?;
        let entries: serde_json::Map<String, Value> = serde_json::from_slice(&text).map_err(|_| broken())?;
        let mut end = 0;
        let mut tensors = Vec::new();
        for (name, entry) in entries {
            if name == "__metadata__" {
                continue;
            }
            let (tensor, last) = tensor(name, &entry).ok_or_else(broken)?;
            end = end.max(last);
            tensors.push(tensor);
        }
        match end == length - header - 8 {
            true => Ok(Self { tensors }),
            false => Err(broken()),
        }
    }

    /// Bytes in the files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }

    /// The number format that most of the bytes have, as the format spells it.
    #[must_use]
    pub fn dtype(&self) -> &str {
        let mut bytes = BTreeMap::<&str, u64>::new();
        for tensor in &self.tensors {
            *bytes.entry(&tensor.dtype).or_default() += tensor.bytes;
        }
        bytes
            .into_iter()
            .max_by_key(|(_, bytes)| *bytes)
            .map_or("", |(dtype, _)| dtype)
    }
}

/// The tensor, and where its bytes end.
fn tensor(name: String, entry: &Value) -> Option<(Tensor, u64)> {
    let offset = |index: usize| entry.pointer(&format!("/data_offsets/{index}"))?.as_u64();
    let (from, to) = (offset(0)?, offset(1)?);
    let shape = entry.get("shape")?.as_array()?;
    let tensor = Tensor {
        name,
        dtype: entry.get("dtype")?.as_str()?.to_owned(),
        shape: shape.iter().map(Value::as_u64).collect::<Option<_>>()?,
        bytes: to.checked_sub(from)?,
    };
    Some((tensor, to))
}

/// The files that the index names, else `model.safetensors`, else every one that is there.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let index = folder.join("model.safetensors.index.json");
    if index.is_file() {
        let index_json = json(&index)?;
        let map = index_json.get("weight_map").and_then(Value::as_object);
        let files: BTreeSet<_> = map
            .into_iter()
            .flatten()
            .filter_map(|(_, file)| file.as_str())
            .map(|file| folder.join(file))
            .collect();
        return some(files, || {
            format!("{} names no files; download the model again", index.display())
        });
    }
    // Others beside it are copies in another layout or format.
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(BTreeSet::from([single]));
    }
    let entries =
        std::fs::read_dir(folder).map_err(|error| wrong(format!("{} cannot be read: {error}", folder.display())))?;
    let files = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .collect();
    some(files, || {
        format!(
            "{} has no *.safetensors; download the model's weights",
            folder.display()
        )
    })
}

fn some(files: BTreeSet<PathBuf>, message: impl FnOnce() -> String) -> Result<BTreeSet<PathBuf>, Error> {
    match files.is_empty() {
        true => Err(wrong(message())),
        false => Ok(files),
    }
}
