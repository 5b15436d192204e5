/** All tests in one process, so that they share one Deputy. */

import './story.js'
