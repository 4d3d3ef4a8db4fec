import * as generation from 'riad:generation/generation@0.1.0';

export { generation };
