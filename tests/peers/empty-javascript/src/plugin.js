// Retrieval that finds nothing, for the benchmark of plugins.

import { defineRetrieval } from 'riad-sdk';

export const retrieval = defineRetrieval(() => []);
