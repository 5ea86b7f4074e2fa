// SPDX-License-Identifier: Apache-2.0

package bed

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kata-node/kata-node/test/bed/images"
)

// DeploymentLog is what each pod of [Cluster.Deploy] logs.
const DeploymentLog = "serving\n"

// Deploy creates a Deployment of one pod in the default namespace, which does nothing but run. Its
// pod has the label app; the scheduler chooses its node. class is its RuntimeClass, empty for none.
func (c *Cluster) Deploy(ctx context.Context, app, class string) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	labels, grace := map[string]string{"app": app}, int64(1)
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "main", Image: images.Busybox, Command: []string{"sh", "-c", "echo serving; while sleep 60; do :; done"},
			}},
		},
	}
	if class != "" {
		template.Spec.RuntimeClassName = &class
	}
	_, err = client.AppsV1().Deployments(metav1.NamespaceDefault).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating Deployment %s: %w", app, err)
	}
	return nil
}

// Undeploy deletes a Deployment and waits until its pod is gone.
func (c *Cluster) Undeploy(ctx context.Context, app string) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	foreground := metav1.DeletePropagationForeground
	if err := client.AppsV1().Deployments(metav1.NamespaceDefault).Delete(ctx, app, metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		return fmt.Errorf("deleting Deployment %s: %w", app, err)
	}
	return c.awaitNoPodOf(ctx, app)
}
