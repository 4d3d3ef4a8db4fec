import * as documents from 'riad:documents/documents@0.2.0';

export { documents };
