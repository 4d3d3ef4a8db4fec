//! An adapter's two files. Input: `adapter_config.json` on one line, then `adapter_model.safetensors`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (config, rest) = data.split_at(end);
    let weights = rest.get(1..).unwrap_or_default();
    let Ok(adapter) = riad_engine::fuzzing::read_adapter(config, weights) else {
        return;
    };
    assert!((1..=1024).contains(&adapter.rank));
    assert!(adapter.scale.is_finite());
    assert!(!adapter.tensors.is_empty() && adapter.tensors.len().is_multiple_of(2));
    let bytes: usize = adapter.tensors.iter().map(|tensor| tensor.bytes).sum();
    assert!(bytes <= weights.len());
    for tensor in &adapter.tensors {
        let elements: usize = tensor.shape.iter().product();
        assert!(tensor.shape.contains(&(adapter.rank as usize)));
        assert!(tensor.bytes == elements * 2 || tensor.bytes == elements * 4);
    }
});
