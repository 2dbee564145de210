//! App Engine's urlfetch by its own names: its calls, limits and errors, onto ours.
