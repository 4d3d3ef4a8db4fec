import * as embeddings from 'riad:embeddings/embeddings@0.1.0';

export { embeddings };
