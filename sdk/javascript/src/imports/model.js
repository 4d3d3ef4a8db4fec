import * as model from 'riad:model/model@0.1.0';

export { model };
