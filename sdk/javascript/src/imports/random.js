import * as random from 'riad:random/random@0.1.0';

export { random };
