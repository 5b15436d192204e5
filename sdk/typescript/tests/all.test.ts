/** All tests in one process, so that they share one Deputy. */

import './story.js'
import './vectors.js'
import './requests.js'
