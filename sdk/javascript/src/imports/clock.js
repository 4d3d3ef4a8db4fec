import * as clock from 'riad:clock/clock@0.1.0';

export { clock };
