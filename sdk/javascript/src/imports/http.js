import * as http from 'riad:http/http@0.1.0';

export { http };
