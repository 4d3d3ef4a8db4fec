import * as logging from 'riad:logging/logging@0.1.0';

export { logging };
