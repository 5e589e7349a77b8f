import styles from "./FirstRun.module.css";

/** What stands where there is no run yet: one command. */
export function FirstRun() {
  return (
    <div className={styles.first}>
      <h1>No runs yet</h1>
      <p>Every run that this workspace records shows up here by itself. Start one in a terminal:</p>
      <pre className={styles.command}>runstone exec -- echo &quot;first run&quot;</pre>
      <p>
        Or look around with three made-up runs, one of which asks you something:{" "}
        <code>runstone up --demo</code>
      </p>
    </div>
  );
}
