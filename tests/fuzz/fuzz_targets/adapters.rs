//! An adapter's two files. Input: `adapter_config.json` on one line, then `adapter_model.safetensors`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (config, rest) = data.split_at(end);
    let weights = rest.get(1..).unwrap_or_default();
    let Ok(pairs) = riad_engine::fuzzing::read_adapter(config, weights) else {
        return;
    };
    assert!(!pairs.is_empty());
    let mut bytes = 0;
    for pair in pairs {
        assert!((1..=1024).contains(&pair.rank));
        assert!(pair.scale.is_finite());
        for tensor in &pair.tensors {
            bytes += tensor.bytes;
            let elements: usize = tensor.shape.iter().product();
            assert!(tensor.shape.contains(&(pair.rank as usize)));
            assert!(tensor.bytes == elements * 2 || tensor.bytes == elements * 4);
        }
    }
    assert!(bytes <= weights.len());
});
