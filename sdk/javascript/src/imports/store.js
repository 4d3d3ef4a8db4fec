import * as store from 'riad:store/store@0.1.0';

export { store };
