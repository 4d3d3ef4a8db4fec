import * as kv from 'riad:kv/kv@0.1.0';

export { kv };
