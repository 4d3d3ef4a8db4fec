import * as settings from 'riad:settings/settings@0.1.0';

export { settings };
